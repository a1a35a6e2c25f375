"""No module imports itself by way of others; imports for type checking count, too."""

from __future__ import annotations

from graphlib import TopologicalSorter

import grimp


def test_modules_import_each_other_in_one_direction() -> None:
    graph = grimp.build_graph("apps", "kit", "loadtest", "lsv", "mp4", "sandbox", "services", "zerocopy")
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 300
    # Raises CycleError, which names the modules of a cycle.
    TopologicalSorter(imports).prepare()
