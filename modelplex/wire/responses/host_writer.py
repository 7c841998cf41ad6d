"""The items of what Modelplex does for a model itself, beside the model's own."""

from __future__ import annotations

from modelplex.events import HostCall, HostResult, HostTools
from modelplex.wire.responses.items_out import HostCallItem, listed_tool
from modelplex.wire.responses.output_writer import OutputWriter


class HostWriter(OutputWriter):
    """Writes those, too; its calls may be open beside each other."""

    def __init__(self, own: str) -> None:
        super().__init__(own)
        self._hosted: dict[str, HostCallItem] = {}

    def host_tools(self, tools: HostTools) -> None:
        self.close()
        id, index = self._item_id("mcpl"), len(self._output)
        shown = {"id": id, "type": "mcp_list_tools", "server_label": tools.label}
        where = {"item_id": id, "output_index": index}
        self._add(index, {**shown, "tools": [], "error": None})
        self.tell("response.mcp_list_tools.in_progress", **where)
        self.tell("response.mcp_list_tools.completed", **where)
        listed = [listed_tool(tool) for tool in tools.tools]
        self._complete(index, {**shown, "tools": listed, "error": None})

    def host_call(self, call: HostCall) -> None:
        self.close()
        id = self._item_id("mcp")
        item = self._hosted[call.id] = HostCallItem(id, len(self._output), call)
        self._size += len(call.arguments)
        where = {"item_id": id, "output_index": item.index}
        self._add(item.index, item.shown("in_progress"))
        self.tell("response.mcp_call.in_progress", **where)
        kind = "response.mcp_call_arguments"
        self.tell(f"{kind}.delta", **where, delta=call.arguments)
        self.tell(f"{kind}.done", **where, arguments=call.arguments)

    def host_result(self, result: HostResult) -> None:
        item = self._hosted.pop(result.call_id, None)
        if item is None:
            return
        output = "\n".join(result.texts)
        if not self._fits(output):
            output = ""
        status = "failed" if result.is_error else "completed"
        where = {"item_id": item.id, "output_index": item.index}
        self.tell(f"response.mcp_call.{status}", **where)
        shown = item.shown(status, item.call.arguments, output)
        self._complete(item.index, shown)
