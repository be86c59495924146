// API keys: how programs come in. Each user has its own; an administrator also sees those of others.

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type ApiKey, ApiKeyService } from "fleetwire/api/v1/api_key";
import { Role } from "fleetwire/api/v1/role";
import { UserService } from "fleetwire/api/v1/user";
import { useState } from "react";
import { client, keyOf, useCall, useChange, useList, useMay, useSession } from "../api/query";
import { GiveRole, GrantsShown, givenOf } from "../ui/grants";
import { Answer, Check, Confirm, Dialog, Empty, Field, More, Page, Secret, Wrong } from "../ui/parts";
import { Word } from "../ui/text";
import { When } from "../ui/time";
import { roleWord } from "../ui/words";

const again = () => void client.invalidateQueries({ queryKey: keyOf(ApiKeyService.method.listApiKeys) });

export default function ApiKeys() {
  const keys = useList(ApiKeyService.method.listApiKeys, { pageSize: 100 });
  const mayUsers = useMay(UserService.method.listUsers);
  const users = useCall(UserService.method.listUsers, { pageSize: 1000 }, { enabled: mayUsers });
  const me = useSession();
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<ApiKey>();
  const revoke = useChange(ApiKeyService.method.revokeApiKey, () => {
    setRevoking(undefined);
    again();
  });
  const owner = (id: string) =>
    users.data?.users.find((user) => user.id === id)?.name ??
    (me.state === "in" && me.user.id === id ? me.user.name : id.slice(0, 8));
  return (
    <Page
      title="API keys"
      actions={
        <button type="button" className="primary" onClick={() => setMaking(true)}>
          Make a key
        </button>
      }
    >
      <section className="panel">
        <Answer of={keys}>
          {({ pages }) => {
            const rows = pages.flatMap(({ apiKeys }) => apiKeys);
            if (!rows.length)
              return <Empty title="No API keys">A program comes in with one, in place of a sign-in.</Empty>;
            return (
              <>
                <div className="scroll">
                  <table className="table">
                    <thead>
                      <tr>
                        <th>For</th>
                        <th>Whose</th>
                        <th className="wide">Role</th>
                        <th className="wide">Hosts</th>
                        <th className="wide">Last used</th>
                        <th>Good until</th>
                        <th>
                          <span className="visually-hidden">Revoke</span>
                        </th>
                      </tr>
                    </thead>
                    <tbody>
                      {rows.map((key) => (
                        <tr key={key.id}>
                          <td>
                            <Word>{key.name}</Word>
                          </td>
                          <td>
                            <Word>{owner(key.userId)}</Word>
                          </td>
                          <td className="wide">{roleWord(key.role)}</td>
                          <td className="wide">
                            <GrantsShown grants={key.grants} />
                          </td>
                          <td className="wide">
                            <When at={key.usedAt} />
                          </td>
                          <td>
                            {key.expiresAt ? (
                              <When at={key.expiresAt} />
                            ) : (
                              <span className="muted">it is revoked</span>
                            )}
                          </td>
                          <td className="end">
                            <button type="button" className="danger" onClick={() => setRevoking(key)}>
                              Revoke
                            </button>
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
                <More of={keys} />
              </>
            );
          }}
        </Answer>
      </section>
      {making && <Make onClose={() => setMaking(false)} />}
      {revoking && (
        <Confirm
          title="Revoke this API key?"
          action="Revoke"
          danger
          pending={revoke.isPending}
          error={revoke.error}
          onConfirm={() => revoke.mutate({ apiKeyId: revoking.id })}
          onClose={() => setRevoking(undefined)}
        >
          <p>From here on it lets nobody in, whatever comes in with it now.</p>
        </Confirm>
      )}
    </Page>
  );
}

const DAY_MS = 86_400_000;

function Make({ onClose }: { onClose: () => void }) {
  const me = useSession();
  const user = me.state === "in" ? me.user : undefined;
  const [name, setName] = useState("");
  const [days, setDays] = useState("");
  const [less, setLess] = useState(false);
  const [given, setGiven] = useState(givenOf(user?.role ?? Role.VIEWER, user?.grants));
  const make = useChange(ApiKeyService.method.createApiKey, again);
  if (make.data) {
    return (
      <Dialog title="The key, shown this once" onClose={onClose}>
        <Secret label="API key" text={make.data.secret} />
        <div className="actions">
          <button type="button" className="primary" onClick={onClose}>
            Done
          </button>
        </div>
      </Dialog>
    );
  }
  const save = () =>
    make.mutate({
      name: name.trim(),
      expiresAt: Number(days) > 0 ? timestampFromMs(Date.now() + Number(days) * DAY_MS) : undefined,
      role: less ? given.role : Role.UNSPECIFIED,
      grants: less ? { allHosts: given.allHosts, groupIds: given.allHosts ? [] : given.groupIds } : undefined,
    });
  return (
    <Dialog title="Make an API key" onClose={onClose} onSubmit={save}>
      <Field label="What for">
        {(ids) => (
          <input
            {...ids}
            name="name"
            required
            autoComplete="off"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field label="Good for, in days" hint="Empty: until it is revoked.">
        {(ids) => (
          <input
            {...ids}
            inputMode="numeric"
            pattern="[0-9]*"
            value={days}
            onChange={(event) => setDays(event.target.value)}
          />
        )}
      </Field>
      <Check label="It may less than I may" checked={less} onChange={setLess} />
      {less && <GiveRole given={given} onChange={setGiven} />}
      <Wrong error={make.error} />
      <div className="actions">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="primary" disabled={make.isPending}>
          Make it
        </button>
      </div>
    </Dialog>
  );
}
