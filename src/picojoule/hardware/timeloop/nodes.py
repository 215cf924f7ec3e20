"""An architecture of version 0.4: a list of nodes, outermost first; containers branch, constraints stand with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from picojoule.hardware.document import TAG
from picojoule.hardware.timeloop.constraints import read_inline
from picojoule.hardware.timeloop.design import SYNONYMS, TENSORS, Array, Component, Constraint, Design
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
    return Design(
        hierarchy=tuple(reader.hierarchy),
        constraints=(*reader.constraints, *constraints),
        containers=frozenset(reader.containers),
        field=field,
    )


class _Reader:
    """Walks the nodes; what a container says holds for every node after it."""

    def __init__(self, variables: Mapping[str, Field], left_out: LeftOut) -> None:
        self.hierarchy: list[Component | Array] = []
        self.constraints: list[Constraint] = []
        self.containers: set[str] = set()
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
        self.containers.add(name)
        if "attributes" in keys:
            self._inherited = (_attributes(keys["attributes"]), *self._inherited)
        if "spatial" in keys:
            self._array(name, keys["spatial"], target=name)
        if "constraints" in keys:
            self.constraints += read_inline(name, keys["constraints"], self._left_out)

    def _array(self, name: str, spatial: Field, *, target: str) -> None:
        given = spatial.table(("meshX", "meshY"))
        meshes = {key[-1].lower(): one.whole(self._variables.get) for key, one in given.items()}
        sizes = {axis: size for axis, size in sorted(meshes.items()) if size > 1}
        if sizes and not self.hierarchy:
            raise spatial.refused(f"{name} has several instances and no memory outside it", "Put one memory outside.")
        if sizes:
            self.hierarchy.append(Array(name=name, sizes=sizes, target=target))

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
        if "spatial" in keys:
            self._array(f"{name}.position", keys["spatial"], target=name)
        self.hierarchy.append(
            Component(
                name=name,
                kind=tuple(keys[key].text() for key in ("class", "subclass") if key in keys),
                own=_attributes(keys["attributes"]) if "attributes" in keys else {},
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
        kept: dict[str, tuple[Field, list[str]]] = {}
        for branch in child(node.table((TAG, "nodes")), node, "nodes").items():
            before = len(self.constraints)
            match self._tag(branch):
                case "!Component" if "spatial" not in branch.table():
                    self._component(branch)
                    kept[branch.table()["name"].text()] = branch, []
                case "!Nothing":
                    keys = branch.table((TAG, "constraints"))
                    if "constraints" in keys:
                        keys["constraints"].table(("dataspace",))
                        self.constraints += read_inline("!Nothing", keys["constraints"], self._left_out)
                case tag:
                    raise branch.refused(f"{tag} that branches inside !Parallel", "Only components are read there.")
            mine = self.constraints[before:]
            for tensor in sorted({tensor for one in mine for tensor in one.keep}):
                if tensor in keepers:
                    raise branch.refused(f"two branches keep {tensor}: also {keepers[tensor].place}")
                keepers[tensor] = branch
                if mine[0].target in kept:
                    kept[mine[0].target][1].append(tensor)
        for tensor in TENSORS.values():
            if tensor not in keepers:
                raise node.refused(f"no branch keeps {tensor}", "Name it under keep of the branch that it takes.")
        self.constraints[:] = [one for one in self.constraints if one.target != "!Nothing"]
        for name, (branch, tensors) in kept.items():
            others = tuple(tensor for tensor in TENSORS.values() if tensor not in tensors)
            self.constraints.append(Constraint(target=name, kind="dataspace", field=branch, bypass=others))


def _attributes(field: Field) -> dict[str, Field]:
    attributes = field.table()
    for name in (*SYNONYMS["mesh_x"], *SYNONYMS["mesh_y"]):
        if name in attributes:
            raise attributes[name].refused(f"{name} among attributes", f"Write spatial: {{{name}: 14}} beside them.")
    return attributes
