#!/bin/bash
# SPDX-License-Identifier: MIT
#
# irqscope show: text, flows and JSON of one recorded run; a truncated and a damaged file.
set -uo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
complain() {
    echo "$1"
    bad=1
}

"$IRQSCOPE" run --record "$work/tour.irq" --flows >"$work/run" 2>"$work/err" </dev/null || complain "the run fails"
hash=$(sed -n 's/.*trace hash //p' "$work/err")
[ -n "$hash" ] || complain "the run prints no trace hash"

"$IRQSCOPE" show "$work/tour.irq" >"$work/text" 2>"$work/err" || complain "show fails"
grep -q "$hash" "$work/err" || complain "show does not print the run's trace hash"
records=$(($(wc -l <"$work/text") - 1))
grep -q "irqscope: $records records, ended by power-off" "$work/err" || complain "show does not count $records records"
grep -qE ' pic_ack .* vector=0x20 ' "$work/text" || complain "show: no pic_ack of vector 0x20"

# The flows of the file are those of the run.
"$IRQSCOPE" show "$work/tour.irq" --flows >"$work/flows" 2>/dev/null || complain "show --flows fails"
grep -v '^tour:' "$work/run" | cmp -s - "$work/flows" || complain "the flows of run and show differ"
"$IRQSCOPE" show "$work/tour.irq" --flows=1 >"$work/one" 2>/dev/null
[ "$(grep -c '^#' "$work/one")" -eq 1 ] || complain "--flows=1 does not print one flow"
tail -n 1 "$work/one" | grep -qxF "... 4 more: irqscope show $work/tour.irq --flows" || complain "--flows=1 does not count the others"

# A file with its end cut off shows what is there.
head -c $(($(stat -c %s "$work/tour.irq") - 40)) "$work/tour.irq" >"$work/cut.irq"
"$IRQSCOPE" show "$work/cut.irq" >"$work/text2" 2>"$work/err"
[ $? -eq 2 ] || complain "a truncated file: not status 2"
grep -qE "^irqscope: $work/cut.irq: truncated after [0-9]+ records: " "$work/err" || complain "a truncated file: no sentence"
head -n 20 "$work/text" | cmp -s - <(head -n 20 "$work/text2") || complain "a truncated file: its records are not shown"

# JSON is JSON.
"$IRQSCOPE" show "$work/tour.irq" --json >"$work/records.json" 2>/dev/null || complain "show --json fails"
"$IRQSCOPE" show "$work/tour.irq" --json --flows >"$work/flows.json" 2>/dev/null || complain "show --json --flows fails"
[ "$(wc -l <"$work/records.json")" -eq "$records" ] || complain "--json: not one line a record"
if command -v python3 >/dev/null; then
    python3 - "$work/records.json" "$work/flows.json" <<'PYTHON' || bad=1
import json, sys
records = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
flows = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
assert all(r["schema"] == "irqscope.records/1" for r in records)
assert all(f["schema"] == "irqscope.flows/1" for f in flows)
assert [f["kind"] for f in flows] == ["line", "line", "lapic-timer", "ipi", "soft"], "kinds"
assert [f["vector"] for f in flows] == [0x20, 0x34, 0x40, 0x50, 0x80], "vectors"
assert all(f["outcome"] == "delivered" for f in flows), "outcomes"
assert flows[0]["handler"]["symbol"] == "pit_isr" and flows[0]["device"] == "pit.ch0"
assert all(f["stages"][-1]["stage"] == "iret" for f in flows), "last stages"
PYTHON
fi
exit $bad
