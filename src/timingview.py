"""The command `timing`: how this pool's times add up, and what was measured of them.

The configuration is enough; a daemon that runs is asked for its latencies,
without side effect.  The State-File is not touched.  Source: spec 9.
"""

import json
from typing import Any, Dict

from xha import cli, configfile, daemonview, folding, latencies, proofpage, prooftext
from xha.errors import ExitCode, XhaError
from xha.paths import Paths


def run(arguments: Dict[str, Any]) -> int:
    """Print the proof page of a configuration.

    Raises:
        XhaError: INVALID_PARAMETER, no such form; CANNOT_READ_CONFIG or INVALID_CONFIG.
    """
    form, path = arguments["--format"], arguments["--config"]
    if form not in ("text", "json"):
        raise XhaError(ExitCode.INVALID_PARAMETER,
                       "--format={}: expected text or json".format(form))
    settings = configfile.load(path)
    asked = daemonview.ask(Paths(arguments["--run-dir"] or ""))
    measured, why, running_ms = None, asked.why, None
    if asked.snapshot is not None:
        if asked.snapshot.generation_uuid == settings.common.generation_uuid:
            measured = latencies.of_snapshot(asked.snapshot)
            running_ms = latencies.running_ms(asked.snapshot)
        else:
            why = "the daemon that runs has another configuration"
    facts = proofpage.describe(settings, path, measured, why, running_ms)
    if form == "json":
        cli.say(json.dumps(facts, indent=1), "")
    else:
        folding.show(prooftext.as_text(facts))
    return ExitCode.SUCCESS
