"""An architecture of version 0.4: a list of nodes, outermost first; containers branch, constraints stand with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from picojoule.hardware.document import TAG
from picojoule.hardware.timeloop.constraints import read_inline
from picojoule.hardware.timeloop.design import TENSORS, Array, Component, Constraint, Design
from picojoule.hardware.timeloop.fields import Field, LeftOut, child

TAGS = ("!Component", "!Container", "!Parallel", "!Hierarchical", "!Nothing")


def read_nodes(
    field: Field, variables: Mapping[str, Field], constraints: Sequence[Constraint], left_out: LeftOut
) -> Design:
    """The design that ``architecture`` describes.

    Raises:
        HardwareError: it is malformed, or branches where our machines can't.
    """
    top = field.table((TAG, "version", "nodes", "name"))
    reader = _Reader(variables, left_out)
    reader.walk(child(top, field, "nodes"))
    return Design(hierarchy=tuple(reader.hierarchy), constraints=(*reader.constraints, *constraints), field=field)


class _Reader:
    """Walks the nodes; what a container says holds for every node after it."""

    def __init__(self, variables: Mapping[str, Field], left_out: LeftOut) -> None:
        self.hierarchy: list[Component | Array] = []
        self.constraints: list[Constraint] = []
        self._variables = variables
        self._left_out = left_out
        self._inherited: tuple[dict[str, Field], ...] = ()

    def walk(self, nodes: Field) -> None:
        every = nodes.items()
        for i, node in enumerate(every):
            match self._tag(node):
                case "!Container":
                    self._container(node)
                case "!Component":
                    self._component(node)
                case "!Parallel":
                    self._parallel(node)
                case "!Hierarchical" if i == len(every) - 1:
                    self.walk(child(node.table((TAG, "nodes")), node, "nodes"))
                case "!Nothing":
                    raise node.refused("!Nothing outside of !Parallel stands for no memory", "Take it out.")
                case tag:
                    raise node.refused(
                        f"{tag} before other nodes ends what its containers say, which is not read here",
                        "Write its nodes directly into the list.",
                    )

    def _tag(self, node: Field) -> str:
        tag = node.table().get(TAG)
        if tag is None:
            raise node.refused("a node without a tag", f"Write one of {', '.join(TAGS)} before it.")
        return tag.text()

    def _container(self, node: Field) -> None:
        keys = node.table((TAG, "name", "attributes", "spatial", "constraints"))
        name = child(keys, node, "name").text()
        if "attributes" in keys:
            self._inherited = (keys["attributes"].table(), *self._inherited)
        if "spatial" in keys:
            self._array(name, keys["spatial"])
        if "constraints" in keys:
            self.constraints += read_inline(name, keys["constraints"], self._left_out)

    def _array(self, name: str, spatial: Field) -> None:
        given = spatial.table(("meshX", "meshY"))
        meshes = {key[-1].lower(): one.whole(self._variables.get) for key, one in given.items()}
        sizes = {axis: size for axis, size in sorted(meshes.items()) if size > 1}
        if sizes and not self.hierarchy:
            raise spatial.refused(f"{name} has several instances and no memory outside it", "Put one memory outside.")
        if sizes:
            self.hierarchy.append(Array(name=name, sizes=sizes, target=name))

    def _component(self, node: Field) -> None:
        keys = node.table(
            (TAG, "name", "class", "subclass", "attributes", "spatial", "constraints", "required_actions", "enabled")
        )
        name = child(keys, node, "name").text()
        if "required_actions" in keys:
            why = "the energy table holds what they cost"
            self._left_out.note(keys["required_actions"], f"{name}, required_actions", why)
        if "enabled" in keys and keys["enabled"].value is not True:
            raise keys["enabled"].refused("a component that is not enabled", "Take it out of the list.")
        for mesh in ("meshX", "meshY"):
            if "attributes" in keys and mesh in keys["attributes"].table():
                wrong = keys["attributes"].table()[mesh]
                raise wrong.refused(f"{mesh} among attributes", "Write spatial: {meshX: 14}.")
        if "spatial" in keys:
            self._array(f"{name}.position", keys["spatial"])
            if isinstance(self.hierarchy[-1], Array) and self.hierarchy[-1].name == f"{name}.position":
                self.hierarchy[-1] = replace(self.hierarchy[-1], target=name)
        self.hierarchy.append(
            Component(
                name=name,
                kind=tuple(keys[key].text() for key in ("class", "subclass") if key in keys),
                own=keys["attributes"].table() if "attributes" in keys else {},
                inherited=self._inherited,
                variables=self._variables,
                field=node,
            )
        )
        if "constraints" in keys:
            self.constraints += read_inline(name, keys["constraints"], self._left_out)

    def _parallel(self, node: Field) -> None:
        """Branches side by side: what one of them keeps does not pass through the others."""
        keepers: dict[str, Field] = {}
        branches: list[str] = []
        for branch in child(node.table((TAG, "nodes")), node, "nodes").items():
            before = len(self.constraints)
            match self._tag(branch):
                case "!Component" if "spatial" not in branch.table():
                    self._component(branch)
                    branches.append(branch.table()["name"].text())
                case "!Nothing":
                    keys = branch.table((TAG, "constraints"))
                    if "constraints" in keys:
                        self.constraints += read_inline("!Nothing", keys["constraints"], self._left_out)
                case tag:
                    raise branch.refused(f"{tag} that branches inside !Parallel", "Only components are read there.")
            mine = self.constraints[before:]
            for tensor in {tensor for one in mine for tensor in one.keep}:
                if tensor in keepers:
                    raise branch.refused(f"two branches keep {tensor}: also {keepers[tensor].place}")
                keepers[tensor] = branch
        for tensor in TENSORS.values():
            if tensor not in keepers:
                raise node.refused(f"no branch keeps {tensor}", "Name it under keep of the branch that it takes.")
        self.constraints[:] = [one for one in self.constraints if one.target != "!Nothing"]
        for name in branches:
            at = next(i for i, one in enumerate(self.constraints) if one.target == name and one.kind == "dataspace")
            mine = self.constraints[at]
            self.constraints[at] = replace(mine, bypass=tuple(t for t in TENSORS.values() if t not in mine.keep))
