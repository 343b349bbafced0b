"""Holds values against JSON Schemas of draft 7: the words that ours use, and no other.

A word that it does not know is a failure, never ignored.  (The package jsonschema has no one
version for all Pythons from 3.6 on.)
"""
import re

#: By name of a type: the types of Python's json that are it.
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool,
         "null": type(None)}
ANNOTATIONS = {"$schema", "title", "description"}
WORDS = {"type", "enum", "anyOf", "properties", "required", "additionalProperties", "items",
         "minItems", "maxItems", "minimum", "maximum", "pattern"}


def complaints(schema, value, where="$"):
    """What is wrong with a value: a list of texts."""
    assert not set(schema) - WORDS - ANNOTATIONS, (where, sorted(schema))
    if "anyOf" in schema:
        found = [complaints(one, value, where) for one in schema["anyOf"]]
        return [] if [] in found else min(found, key=len)
    if "enum" in schema:
        same = [one for one in schema["enum"] if type(one) is type(value) and one == value]
        return [] if same else ["{} is {!r}".format(where, value)]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if type(value) not in [TYPES[kind] for kind in kinds]:
        return ["{} is {!r}".format(where, value)]
    if isinstance(value, dict):
        return _of_object(schema, value, where)
    if isinstance(value, list):
        return _of_array(schema, value, where)
    wrong = False
    if isinstance(value, str):
        wrong = not re.search(schema.get("pattern", ""), value)
    elif type(value) is int:
        wrong = not schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return ["{} is {!r}".format(where, value)] if wrong else []


def _of_object(schema, value, where):
    properties = schema.get("properties", {})
    more = schema.get("additionalProperties", True)
    found = ["{} has no {}".format(where, name)
             for name in schema.get("required", ()) if name not in value]
    for name, inner in value.items():
        place = where + "." + name
        if name in properties:
            found += complaints(properties[name], inner, place)
        elif more is False:
            found.append("{} is not in the schema".format(place))
        elif more is not True:
            found += complaints(more, inner, place)
    return found


def _of_array(schema, value, where):
    found = []
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        found.append("{} has {} items".format(where, len(value)))
    for number, inner in enumerate(value):
        found += complaints(schema["items"], inner, "{}[{}]".format(where, number))
    return found


def objects(schema):
    """Every schema of an object with names, within a schema."""
    if isinstance(schema, list):
        for item in schema:
            for found in objects(item):
                yield found
    elif isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and "type" in schema:
            yield schema
        for item in schema.values():
            for found in objects(item):
                yield found
