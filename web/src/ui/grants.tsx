// A role and the hosts that it is for, to be shown and to be given.

import { GroupService } from "fleetwire/api/v1/group";
import { Role } from "fleetwire/api/v1/role";
import type { Grants } from "fleetwire/api/v1/user";
import { useCall, useSession } from "../api/query";
import { Check, Choice } from "./parts";
import { Word } from "./text";
import { ROLES } from "./words";

/** What is given: a role, and all hosts or those of groups. */
export interface Given {
  role: Role;
  allHosts: boolean;
  groupIds: string[];
}

export function givenOf(role: Role, grants: Grants | undefined): Given {
  return { role, allHosts: grants?.allHosts ?? false, groupIds: grants?.groupIds ?? [] };
}

export function grantsOf({ allHosts, groupIds }: Given) {
  return { allHosts, groupIds: allHosts ? [] : groupIds };
}

export function GrantsShown({ grants }: { grants: Grants | undefined }) {
  const groups = useCall(GroupService.method.listGroups, { pageSize: 1000 });
  if (grants?.allHosts) return "all hosts";
  if (!grants?.groupIds.length) return <span className="muted">no hosts</span>;
  const names = grants.groupIds.map(
    (id) => groups.data?.groups.find((group) => group.id === id)?.name ?? "…",
  );
  return <Word>{names.join(", ")}</Word>;
}

/** Nobody gives more than they have: what is above is not offered. */
export function GiveRole({ given, onChange }: { given: Given; onChange: (given: Given) => void }) {
  const me = useSession();
  const groups = useCall(GroupService.method.listGroups, { pageSize: 1000 });
  const most = me.state === "in" ? me.user.role : Role.VIEWER;
  const all = me.state === "in" && me.user.grants?.allHosts === true;
  return (
    <>
      <div className="field">
        <span className="label">Role</span>
        <Choice
          label="Role"
          value={String(given.role)}
          options={ROLES.filter(([role]) => role <= most).map(([role, text]) => [String(role), text])}
          onChange={(role) => onChange({ ...given, role: Number(role) })}
        />
      </div>
      <fieldset className="stack">
        <legend>On which hosts</legend>
        {all && (
          <Check
            label="All hosts"
            checked={given.allHosts}
            onChange={(allHosts) => onChange({ ...given, allHosts })}
          />
        )}
        {!given.allHosts &&
          groups.data?.groups.map(({ id, name }) => (
            <Check
              key={id}
              label={<Word>{name}</Word>}
              checked={given.groupIds.includes(id)}
              onChange={(on) =>
                onChange({
                  ...given,
                  groupIds: on ? [...given.groupIds, id] : given.groupIds.filter((other) => other !== id),
                })
              }
            />
          ))}
        {!given.allHosts && groups.data?.groups.length === 0 && (
          <p className="muted">There are no groups yet.</p>
        )}
      </fieldset>
    </>
  );
}
