"""The samplers and pruners that a study can name.

Each is one file of the server and one line here. The line locates the class instead of importing it, because clients
know the names but don't have the server. `service/search/registry.py` loads the classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

SAMPLERS: dict[str, str] = {
    "tpe": "service.search.samplers.tpe:TpeSampler",
    "surrogate": "service.search.samplers.surrogate:SurrogateSampler",
    "random": "service.search.samplers.random:RandomSampler",
    "gp": "service.search.samplers.gp:GpSampler",
    "cmaes": "service.search.samplers.cmaes:CmaesSampler",
    "qmc": "service.search.samplers.qmc:QmcSampler",
    "grid": "service.search.samplers.grid:GridSampler",
}

PRUNERS: dict[str, str] = {
    "none": "service.search.pruners.none:NoPruner",
    "median": "service.search.pruners.median:MedianPruner",
    "hyperband": "service.search.pruners.hyperband:HyperbandPruner",
    "phases": "service.search.pruners.phases:PhasesPruner",
    "race": "service.search.pruners.race:RacePruner",
    "wilcoxon": "service.search.pruners.wilcoxon:WilcoxonPruner",
}

if TYPE_CHECKING:  # a type checker does not accept a Literal of computed names
    SamplerName = str
    PrunerName = str
else:
    SamplerName = Literal[tuple(SAMPLERS)]
    PrunerName = Literal[tuple(PRUNERS)]
