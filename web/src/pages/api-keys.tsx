// API keys: how programs come in. Each user has its own; an administrator also sees those of others.

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type ApiKey, ApiKeyService } from "fleetwire/api/v1/api_key";
import { Role } from "fleetwire/api/v1/role";
import { UserService } from "fleetwire/api/v1/user";
import { useState } from "react";
import { calling, useCall, useChange, useMay, useSession } from "../api/query";
import { GiveRole, GrantsShown, givenOf, grantsOf } from "../ui/grants";
import { Check, FormDialog, Secret, ShownDialog, TextField } from "../ui/parts";
import { type Opened, Register } from "../ui/register";
import type { Column } from "../ui/table";
import { Word } from "../ui/text";
import { When } from "../ui/time";
import { roleWord } from "../ui/words";

export default function ApiKeys() {
  const mayUsers = useMay(UserService.method.listUsers);
  const users = useCall(UserService.method.listUsers, { pageSize: 1000 }, { enabled: mayUsers });
  const me = useSession();
  const owner = (id: string) =>
    users.data?.users.find((user) => user.id === id)?.name ??
    (me.state === "in" && me.user.id === id ? me.user.name : id.slice(0, 8));
  const columns: readonly Column<ApiKey>[] = [
    { head: "For", lead: true, cell: (key) => <Word>{key.name}</Word> },
    { head: "Whose", cell: (key) => <Word>{owner(key.userId)}</Word> },
    { head: "Role", cell: (key) => roleWord(key.role) },
    { head: "Hosts", wide: true, cell: (key) => <GrantsShown grants={key.grants} /> },
    { head: "Last used", wide: true, cell: (key) => <When at={key.usedAt} /> },
    {
      head: "Ends",
      cell: (key) => (key.expiresAt ? <When at={key.expiresAt} /> : <span className="muted">never</span>),
    },
  ];
  return (
    <Register
      title="API keys"
      method={ApiKeyService.method.listApiKeys}
      request={{ pageSize: 100 }}
      rows={({ apiKeys }) => apiKeys}
      name={({ id }) => id}
      columns={columns}
      empty={{ title: "No API keys", text: "A program comes in with one, in place of a sign-in." }}
      add="Make a key"
      dialog={(_, opened) => <Make opened={opened} />}
      remove={{
        word: "Revoke",
        title: "Revoke this API key?",
        act: ({ id }) => calling(ApiKeyService.method.revokeApiKey, { apiKeyId: id }),
        text: () => "From here on it lets nobody in, whatever comes in with it now.",
      }}
    />
  );
}

const DAY_MS = 86_400_000;

function Make({ opened }: { opened: Opened }) {
  const me = useSession();
  const user = me.state === "in" ? me.user : undefined;
  const [name, setName] = useState("");
  const [days, setDays] = useState("");
  const [less, setLess] = useState(false);
  const [given, setGiven] = useState(givenOf(user?.role ?? Role.VIEWER, user?.grants));
  const make = useChange(ApiKeyService.method.createApiKey, opened.changed);
  if (make.data) {
    return (
      <ShownDialog title="The key, shown this once" done="Done" onClose={opened.close}>
        <Secret label="API key" text={make.data.secret} />
      </ShownDialog>
    );
  }
  const save = () =>
    make.mutate({
      name: name.trim(),
      expiresAt: Number(days) > 0 ? timestampFromMs(Date.now() + Number(days) * DAY_MS) : undefined,
      role: less ? given.role : Role.UNSPECIFIED,
      grants: less ? grantsOf(given) : undefined,
    });
  return (
    <FormDialog
      title="Make an API key"
      action="Make it"
      pending={make.isPending}
      error={make.error}
      onSubmit={save}
      onClose={opened.close}
    >
      <TextField label="What for" name="name" required value={name} onChange={setName} />
      <TextField
        label="Good for, in days"
        hint="Empty: until it is revoked."
        inputMode="numeric"
        pattern="[1-9][0-9]{0,3}"
        value={days}
        onChange={setDays}
      />
      <Check label="It may less than I may" checked={less} onChange={setLess} />
      {less && <GiveRole given={given} onChange={setGiven} />}
    </FormDialog>
  );
}
