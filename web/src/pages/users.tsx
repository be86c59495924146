// Users: who they are, what they may do and on which hosts.

import { Role } from "fleetwire/api/v1/role";
import { type User, UserService } from "fleetwire/api/v1/user";
import { useState } from "react";
import { calling, useChange } from "../api/query";
import { GiveRole, GrantsShown, givenOf, grantsOf } from "../ui/grants";
import { Check, FormDialog, State, TextField } from "../ui/parts";
import { type Opened, Register } from "../ui/register";
import type { Column } from "../ui/table";
import { Word } from "../ui/text";
import { When } from "../ui/time";
import { roleWord } from "../ui/words";

const COLUMNS: readonly Column<User>[] = [
  {
    head: "Name",
    lead: true,
    cell: (user) => (
      <>
        <Word>{user.name}</Word> {user.disabled && <State tone="warn">disabled</State>}
      </>
    ),
  },
  { head: "Role", cell: (user) => roleWord(user.role) },
  { head: "Hosts", cell: (user) => <GrantsShown grants={user.grants} /> },
  { head: "Signs in by", wide: true, cell: waysIn },
  { head: "Made", wide: true, cell: (user) => <When at={user.createdAt} /> },
];

function waysIn({ hasPassword, totp, external, builtIn }: User) {
  const ways = [hasPassword && "password", totp && "second factor", external && "provider"].filter(Boolean);
  return ways.join(", ") || <span className="muted">{builtIn ? "its API key" : "nothing yet"}</span>;
}

export default function Users() {
  return (
    <Register
      title="Users"
      method={UserService.method.listUsers}
      request={{ pageSize: 100 }}
      rows={({ users }) => users}
      name={({ id }) => id}
      columns={COLUMNS}
      empty={{ title: "No users" }}
      add="Add a user"
      dialog={(user, opened) => <Edit user={user} opened={opened} />}
      edit={() => true}
      remove={{
        word: "Remove",
        title: "Remove this user?",
        may: ({ builtIn }) => !builtIn,
        act: ({ id, etag }) => calling(UserService.method.deleteUser, { userId: id, etag }),
        text: ({ name }) => (
          <>
            <Word>{name}</Word> goes with its sign-ins and its API keys. What it did stays in the audit log.
          </>
        ),
      }}
    />
  );
}

function Edit({ user, opened }: { user: User | undefined; opened: Opened }) {
  const [name, setName] = useState(user?.name ?? "");
  const [given, setGiven] = useState(givenOf(user?.role ?? Role.VIEWER, user?.grants));
  const [password, setPassword] = useState("");
  const [disabled, setDisabled] = useState(user?.disabled ?? false);
  const [resetTotp, setResetTotp] = useState(false);
  const done = () => {
    opened.close();
    opened.changed();
  };
  const create = useChange(UserService.method.createUser, done);
  const update = useChange(UserService.method.updateUser, done);
  const grants = grantsOf(given);
  const save = () => {
    if (!user)
      return create.mutate({ name: name.trim(), role: given.role, grants, password: password || undefined });
    update.mutate({
      userId: user.id,
      name: name.trim() === user.name ? undefined : name.trim(),
      password: password || undefined,
      resetTotp,
      etag: user.etag,
      // Of the one that is always there, neither can be changed.
      ...(user.builtIn
        ? {}
        : { role: given.role, grants, disabled: disabled === user.disabled ? undefined : disabled }),
    });
  };
  return (
    <FormDialog
      title={user ? "Edit user" : "Add a user"}
      action="Save"
      pending={create.isPending || update.isPending}
      error={create.error ?? update.error}
      onSubmit={save}
      onClose={opened.close}
    >
      <TextField label="Name" name="name" required autoCapitalize="none" value={name} onChange={setName} />
      <TextField
        label={user?.hasPassword ? "New password" : "Password"}
        hint={
          user
            ? "Empty: as it is. A new one ends its sign-ins."
            : "12 characters at least. Empty: it signs in over the provider."
        }
        name="password"
        type="password"
        autoComplete="new-password"
        value={password}
        onChange={setPassword}
      />
      {!user?.builtIn && <GiveRole given={given} onChange={setGiven} />}
      {user && !user.builtIn && <Check label="Kept out" checked={disabled} onChange={setDisabled} />}
      {user?.totp && <Check label="Take its second factor off" checked={resetTotp} onChange={setResetTotp} />}
    </FormDialog>
  );
}
