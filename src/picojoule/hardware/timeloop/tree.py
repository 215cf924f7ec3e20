"""An architecture of version 0.3: a tree of containers, every component with the number of its instances."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from picojoule.hardware.timeloop.design import Array, Component, Constraint, Design
from picojoule.hardware.timeloop.fields import Field, LeftOut, child

_RANGED = re.compile(r"([A-Za-z_][\w.-]*?)(?:\[(\d{1,7})\.\.(\d{1,7})\])?")


def read_tree(
    field: Field, variables: Mapping[str, Field], constraints: Sequence[Constraint], left_out: LeftOut
) -> Design:
    """The design that ``architecture`` describes.

    Raises:
        HardwareError: it is malformed, branches into several kinds of containers, or its instances form no arrays.
    """
    top = field.table(("version", "subtree", "name"))
    hierarchy: list[Component | Array] = []
    mesh = {"x": 1, "y": 1}
    inherited: tuple[dict[str, Field], ...] = ()
    positions, array, outside = 1, "", ""
    node = _only(child(top, field, "subtree"))
    while node is not None:
        keys = node.table(("name", "attributes", "local", "subtree"))
        name, count = ranged(child(keys, node, "name"))
        positions, array = positions * count, name if count > 1 else array
        inherited = (keys["attributes"].table(), *inherited) if "attributes" in keys else inherited
        for one in keys["local"].items() if "local" in keys else []:
            component, instances = _component(one, inherited, variables, left_out)
            inner = _mesh(component, positions * instances)
            if any(inner[axis] % mesh[axis] for axis in mesh):
                raise one.refused(
                    f"{component.name} is a mesh of {inner['x']} × {inner['y']}, which {outside or 'the machine'} "
                    f"({mesh['x']} × {mesh['y']}) does not divide",
                    "Instances further in are a multiple of those further out, along each side.",
                )
            sizes = {axis: inner[axis] // mesh[axis] for axis in mesh if inner[axis] > mesh[axis]}
            if sizes:
                if not outside:
                    raise one.refused("the outermost component has several instances", "Put one memory outside it.")
                hierarchy.append(Array(name=array or f"{component.name}.position", sizes=sizes, target=outside))
            hierarchy.append(component)
            mesh, array, outside = inner, "", component.name
        node = _only(keys["subtree"]) if "subtree" in keys else None
    return Design(hierarchy=tuple(hierarchy), constraints=tuple(constraints), field=field)


def ranged(field: Field) -> tuple[str, int]:
    """A name and the number of its instances: ``PE[0..167]`` is 168 times ``PE``."""
    match = _RANGED.fullmatch(field.text())
    if match is None:
        raise field.refused(f"{field.text()!r} is no name", "Write PE, or PE[0..167] for 168 of them.")
    count = int(match[3]) - int(match[2]) + 1 if match[2] else 1
    if count < 1:
        raise field.refused(f"{field.text()!r} has no instance")
    return match[1], count


def _only(subtree: Field) -> Field | None:
    nodes = subtree.items()
    if len(nodes) > 1:
        raise nodes[1].refused(
            "a second branch of the design", "Our machines are one line of memories and arrays from DRAM to the MACs."
        )
    return nodes[0] if nodes else None


def _component(
    field: Field, inherited: tuple[dict[str, Field], ...], variables: Mapping[str, Field], left_out: LeftOut
) -> tuple[Component, int]:
    keys = field.table(("name", "class", "subclass", "attributes", "required_actions"))
    name, instances = ranged(child(keys, field, "name"))
    if "required_actions" in keys:
        left_out.note(keys["required_actions"], f"{name}, required_actions", "the energy table holds what they cost")
    component = Component(
        name=name,
        kind=tuple(keys[key].text() for key in ("class", "subclass") if key in keys),
        own=keys["attributes"].table() if "attributes" in keys else {},
        inherited=inherited,
        variables=variables,
        field=field,
    )
    return component, instances


def _mesh(component: Component, instances: int) -> dict[str, int]:
    """How the instances of the whole machine lie: without meshX and meshY in a row along x, as in Timeloop."""
    x, y = component.whole("mesh_x"), component.whole("mesh_y")
    if x is None:
        x = instances // y if y else instances
    if y is None:
        y = instances // x
    if x * y != instances:
        raise component.field.refused(
            f"{component.name} has {instances} instances, which are no mesh of {x} × {y}",
            "Correct meshX, meshY or the range of a name.",
        )
    return {"x": x, "y": y}
