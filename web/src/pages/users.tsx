// Users: who they are, what they may do and on which hosts.

import { Role } from "fleetwire/api/v1/role";
import { type User, UserService } from "fleetwire/api/v1/user";
import { useState } from "react";
import { client, keyOf, useChange, useList } from "../api/query";
import { GiveRole, GrantsShown, givenOf } from "../ui/grants";
import { Answer, Check, Confirm, Dialog, Empty, Field, More, Page, State, Wrong } from "../ui/parts";
import { Word } from "../ui/text";
import { When } from "../ui/time";
import { roleWord } from "../ui/words";

const again = () => void client.invalidateQueries({ queryKey: keyOf(UserService.method.listUsers) });

export default function Users() {
  const users = useList(UserService.method.listUsers, { pageSize: 100 });
  const [edited, setEdited] = useState<User | "new">();
  const [removed, setRemoved] = useState<User>();
  const remove = useChange(UserService.method.deleteUser, () => {
    setRemoved(undefined);
    again();
  });
  return (
    <Page
      title="Users"
      actions={
        <button type="button" className="primary" onClick={() => setEdited("new")}>
          Add a user
        </button>
      }
    >
      <section className="panel">
        <Answer of={users}>
          {({ pages }) => {
            const rows = pages.flatMap(({ users }) => users);
            return rows.length ? (
              <>
                <Rows users={rows} onEdit={setEdited} onRemove={setRemoved} />
                <More of={users} />
              </>
            ) : (
              <Empty title="No users" />
            );
          }}
        </Answer>
      </section>
      {edited && <Edit user={edited === "new" ? undefined : edited} onClose={() => setEdited(undefined)} />}
      {removed && (
        <Confirm
          title="Remove this user?"
          action="Remove"
          danger
          pending={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate({ userId: removed.id, etag: removed.etag })}
          onClose={() => setRemoved(undefined)}
        >
          <p>
            <Word>{removed.name}</Word> goes with its sign-ins and its API keys. What it did stays in the
            audit log.
          </p>
        </Confirm>
      )}
    </Page>
  );
}

function Rows({
  users,
  onEdit,
  onRemove,
}: {
  users: User[];
  onEdit: (user: User) => void;
  onRemove: (user: User) => void;
}) {
  return (
    <div className="scroll">
      <table className="table">
        <thead>
          <tr>
            <th>Name</th>
            <th>Role</th>
            <th className="wide">Hosts</th>
            <th className="wide">Signs in by</th>
            <th className="wide">Made</th>
            <th>
              <span className="visually-hidden">Change</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {users.map((user) => (
            <tr key={user.id}>
              <td>
                <Word>{user.name}</Word> {user.disabled && <State tone="warn">disabled</State>}
              </td>
              <td>{roleWord(user.role)}</td>
              <td className="wide">
                <GrantsShown grants={user.grants} />
              </td>
              <td className="wide">
                {[user.hasPassword && "password", user.totp && "second factor", user.external && "provider"]
                  .filter(Boolean)
                  .join(", ") || (
                  <span className="muted">{user.builtIn ? "its API key" : "nothing yet"}</span>
                )}
              </td>
              <td className="wide">
                <When at={user.createdAt} />
              </td>
              <td className="end nowrap">
                <button type="button" onClick={() => onEdit(user)}>
                  Edit
                </button>{" "}
                {!user.builtIn && (
                  <button type="button" className="danger" onClick={() => onRemove(user)}>
                    Remove
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Edit({ user, onClose }: { user: User | undefined; onClose: () => void }) {
  const [name, setName] = useState(user?.name ?? "");
  const [given, setGiven] = useState(givenOf(user?.role ?? Role.VIEWER, user?.grants));
  const [password, setPassword] = useState("");
  const [disabled, setDisabled] = useState(user?.disabled ?? false);
  const [resetTotp, setResetTotp] = useState(false);
  const done = () => {
    onClose();
    again();
  };
  const create = useChange(UserService.method.createUser, done);
  const update = useChange(UserService.method.updateUser, done);
  const grants = { allHosts: given.allHosts, groupIds: given.allHosts ? [] : given.groupIds };
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
    <Dialog title={user ? "Edit user" : "Add a user"} onClose={onClose} onSubmit={save}>
      <Field label="Name">
        {(ids) => (
          <input
            {...ids}
            name="name"
            required
            autoComplete="off"
            autoCapitalize="none"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field
        label={user?.hasPassword ? "New password" : "Password"}
        hint={
          user
            ? "Empty: as it is. A new one ends its sign-ins."
            : "12 characters at least. Empty: it signs in over the provider."
        }
      >
        {(ids) => (
          <input
            {...ids}
            name="password"
            type="password"
            autoComplete="new-password"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        )}
      </Field>
      {!user?.builtIn && <GiveRole given={given} onChange={setGiven} />}
      {user && !user.builtIn && <Check label="Kept out" checked={disabled} onChange={setDisabled} />}
      {user?.totp && <Check label="Take its second factor off" checked={resetTotp} onChange={setResetTotp} />}
      <Wrong error={create.error ?? update.error} />
      <div className="actions">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="primary" disabled={create.isPending || update.isPending}>
          Save
        </button>
      </div>
    </Dialog>
  );
}
