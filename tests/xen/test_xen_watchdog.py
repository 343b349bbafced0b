"""The watchdog of mode HYPERVISOR on a real Xen, without a daemon."""
import time

from dom0 import lives, said_at, script, script_on_console

#: Emulated, on a machine with other work: how late an expiry may be seen, s.
LATE_S = 1.5


def test_the_real_xen_obeys_the_law_that_the_fake_one_does(host):
    assert script(host, "contract") == (0, "", "")


def test_both_timers_are_opened_and_closed_again(host):
    for _ in range(2):
        done = script(host, "open")
        assert (done.code, done.err) == (0, ""), done
        assert "heartbeat 1, statefile 2" in done.out


def test_a_start_is_refused_when_a_timer_is_taken(host):
    for count in (1, 1):
        assert script(host, "take", count).code == 0
        refused = script(host, "open")
        assert refused.code == 4, refused
        assert "no free watchdog timer" in refused.out


def test_the_kernels_driver_is_named_when_it_holds_a_timer(host):
    host.run("modprobe", "xen_wdt")
    host.spawn("sh", "-c", "exec 9>/dev/watchdog; sleep 25; echo -n V >&9; exec 9>&-")
    time.sleep(2)
    refused = script(host, "open")
    assert refused.code == 4, refused
    assert "xen_wdt is loaded" in refused.out
    time.sleep(26)
    host.run("rmmod", "xen_wdt")
    assert script(host, "open").code == 0


def test_refreshed_timers_keep_the_host_up_and_closed_ones_too(host):
    began_s = time.monotonic()
    done = script(host, "refresh", 12, 4000)
    assert (done.code, done.err) == (0, ""), done
    assert lives(host, 6)
    assert host.find("fired", began_s) is None


def test_a_timer_that_is_not_refreshed_resets_the_host_no_later_than_asked(host, measured):
    began_s = script_on_console(host, "expire", 5900)
    seen = host.wait_reset(began_s, 60)
    assert "Watchdog timer" in seen.text and "fired" in seen.text
    took_s = seen.fired_s - said_at(host, "timers are set", began_s)
    measured("set to 5.9 s, no refresh: Xen fires", took_s)
    measured("... and the machine is reset after", seen.reset_s - seen.fired_s)
    assert 5.9 - 1 - 0.3 < took_s < 5.9 + LATE_S


def test_a_fence_resets_the_host_at_once(host, measured):
    began_s = script_on_console(host, "fence")
    seen = host.wait_reset(began_s, 60)
    asked_s = said_at(host, "fencing now", began_s)
    measured("fence: asked to reset", seen.reset_s - asked_s)
    assert seen.fired_s is None and "rebooting machine" in seen.text
    assert seen.reset_s - asked_s < LATE_S


def test_a_set_costs_little(host, measured):
    done = script(host, "cost", 500)
    assert done.code == 0, done
    measured("one set of a timer (emulated)", float(done.out.split()[-1]) / 1e6)
