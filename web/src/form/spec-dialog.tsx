// The dialog that makes or changes something whose schema is a message with a choice in it: a rule, a channel.

import type { DescMessage, DescOneof } from "@bufbuild/protobuf";
import { useState } from "react";
import { FormDialog, Wrong } from "../ui/parts";
import { type Draft, fill } from "./fields";
import { chosenOf, OneofForm } from "./oneof";
import { WIDGETS } from "./widgets";

const NONE = new Map<string, string>();

export function SpecDialog({
  title,
  desc,
  oneof,
  begin,
  fixed,
  pending,
  error,
  onSave,
  onClose,
}: {
  title: string;
  desc: DescMessage;
  oneof: DescOneof;
  /** What stands in it at first. */
  begin: () => Draft;
  /** What was chosen stays what it is. */
  fixed?: boolean;
  pending: boolean;
  error: unknown;
  onSave: (value: Record<string, unknown>) => void;
  onClose: () => void;
}) {
  const [draft, setDraft] = useState<Draft>(begin);
  const [asked, setAsked] = useState(false);
  const { value, faults } = fill(desc, draft);
  const whole = faults.size === 0 && chosenOf(oneof, draft) !== "";
  const save = () => {
    setAsked(true);
    if (whole) onSave(value);
  };
  return (
    <FormDialog title={title} action="Save" pending={pending} error={error} onSubmit={save} onClose={onClose}>
      <OneofForm
        desc={desc}
        oneof={oneof}
        draft={draft}
        faults={asked ? faults : NONE}
        fixed={fixed}
        widgets={WIDGETS}
        onChange={setDraft}
      />
      {asked && !whole && <Wrong error={new Error("Something of it is not filled in as it has to be.")} />}
    </FormDialog>
  );
}
