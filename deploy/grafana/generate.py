#!/usr/bin/env python3
"""Writes the dashboards of deploy/grafana/dashboards from panels.py with Grafana's foundation SDK.

    deploy/grafana/generate.py           writes them
    deploy/grafana/generate.py --check   fails if a file is not what would be written
"""

import sys
from pathlib import Path

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    ReduceDataOptions,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DataSourceRef, Threshold, ThresholdsMode, VariableRefresh

from panels import DASHBOARDS

OUT = Path(__file__).parent / "dashboards"
# The variable, never a fixed source: one that is imported by hand must find the source of its place.
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
VARIABLES = {
    "job": ("Process", "label_values(up{job=~\"audience-.+\"}, job)"),
    "instance": ("Instance", "label_values(up{job=~\"$job\"}, instance)"),
    "segment": ("Segment", "label_values(audience_segment_size, segment)"),
}


def thresholds(limits):
    """Green, then yellow from the first limit on and red from the second."""
    steps = [Threshold(value=None, color="green")]
    steps += [Threshold(value=value, color=color) for value, color in zip(limits, ("yellow", "red"))]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def targets(panel):
    for index, (query, legend) in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query).ref_id(chr(ord("A") + index)).datasource(SOURCE)
        target = target.legend_format(legend or "__auto")
        yield target.range() if panel.kind == "time" else target.instant()


def build_panel(panel, width):
    if panel.kind == "stat":
        built = stat.Panel().color_mode(BigValueColorMode.VALUE).graph_mode(BigValueGraphMode.NONE).height(4)
        built = built.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    elif panel.kind == "bars":
        built = bargauge.Panel().orientation(VizOrientation.HORIZONTAL).height(9)
        built = built.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    else:
        legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
        built = timeseries.Panel().legend(legend).fill_opacity(10).line_width(1).height(9)
        built = built.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI)).min(0)
        if panel.stack:
            built = built.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    built = built.title(panel.title).unit(panel.unit).datasource(SOURCE).span(width).thresholds(thresholds(panel.limits))
    if panel.text:
        built = built.description(panel.text)
    for target in targets(panel):
        built = built.with_target(target)
    return built


def build(board):
    built = dashboard.Dashboard(f"Audience Manager: {board.title}").uid(f"audience-{board.uid}").description(board.text)
    built = built.tags(["audience"]).refresh("30s").time("now-1h", "now").timezone("browser").editable()
    link = dashboard.DashboardLink("Audience Manager").type(DashboardLinkType.DASHBOARDS).tags(["audience"])
    built = built.link(link.icon("dashboard").tooltip("").url("").as_dropdown(True).include_vars(True).keep_time(True))
    built = built.with_variable(dashboard.DatasourceVariable("datasource").label("Source").type("prometheus"))
    for name in board.variables:
        label, query = VARIABLES[name]
        variable = dashboard.QueryVariable(name).label(label).query(query).datasource(SOURCE)
        variable = variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).multi(True).include_all(True).all_value(".*")
        built = built.with_variable(variable)
    for title, panels in board.rows:
        built = built.with_row(dashboard.Row(title))
        width = 24 // min(len(panels), 6 if panels[0].kind == "stat" else 4 if len(panels) == 4 else 3)
        for panel in panels:
            built = built.with_panel(build_panel(panel, max(width, 12) if panel.kind == "time" and len(panels) == 4 else width))
    return JSONEncoder(sort_keys=True, indent=2).encode(built.build()) + "\n"


def main():
    stale = []
    for board in DASHBOARDS:
        path, text = OUT / f"{board.uid}.json", build(board)
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    if stale:
        sys.exit(f"{', '.join(stale)}: not what panels.py says; deploy/grafana/generate.py writes them")


if __name__ == "__main__":
    main()
