// All hosts: a table that stays smooth however many there are, as only what is seen is there. What is searched and
// filtered for is in the address, and found by the platform.

import {
  type ColumnDef,
  flexRender,
  getCoreRowModel,
  type Row,
  type RowSelectionState,
  useReactTable,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { CommandService } from "fleetwire/api/v1/command";
import { GroupService } from "fleetwire/api/v1/group";
import { type Host, HostService, HostStatus } from "fleetwire/api/v1/host";
import { memo, useEffect, useMemo, useRef, useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { useCall, useList, useMay } from "../api/query";
import { EditHosts } from "../ui/edit-hosts";
import { labelChoices } from "../ui/labels";
import { Empty, Failed, Labels, Loading, Page, State } from "../ui/parts";
import { plain, Word } from "../ui/text";
import { When } from "../ui/time";

/** As the style has it (`.rows .line`). */
const ROW_PX = 36;
const PAGE_SIZE = 250;
/** Lines that are drawn beyond what is seen: some frames of a quick wheel, and not so many that drawing all takes long. */
const OVERSCAN = 6;
/** A search is asked for once nobody has typed for so long. */
const TYPED_MS = 200;
/** So many a command takes by name. */
const SELECTED_MAX = 1000;

export default function Hosts() {
  const [query, setQuery] = useSearchParams();
  const filter = {
    name: query.get("name") ?? "",
    status: query.get("status") ?? "",
    group: query.get("group") ?? "",
    label: query.get("label") ?? "",
  };
  const set = (name: string, value: string) =>
    setQuery(
      (query) => {
        if (value) query.set(name, value);
        else query.delete(name);
        return query;
      },
      { replace: true },
    );
  const status =
    filter.status === "online"
      ? HostStatus.ONLINE
      : filter.status === "offline"
        ? HostStatus.OFFLINE
        : HostStatus.UNSPECIFIED;
  const hosts = useList(HostService.method.listHosts, {
    pageSize: PAGE_SIZE,
    name: filter.name,
    status,
    groupId: filter.group || undefined,
    labels: filter.label ? [filter.label] : [],
  });
  const groups = useCall(GroupService.method.listGroups, { pageSize: 1000 });
  const labels = useCall(HostService.method.listLabels, { pageSize: 1000 });
  const groupNames = useMemo(
    () => new Map(groups.data?.groups.map(({ id, name }) => [id, name]) ?? []),
    [groups.data],
  );
  const rows = useMemo(() => hosts.data?.pages.flatMap(({ hosts }) => hosts) ?? [], [hosts.data]);
  const [selected, setSelected] = useState<RowSelectionState>({});
  const filtered = Object.values(filter).some(Boolean);

  return (
    <Page
      title="Hosts"
      beside={
        hosts.data && (
          <span className="muted number">
            {rows.length}
            {hosts.hasNextPage && "+"}
            {filtered && " found"}
          </span>
        )
      }
    >
      <section className="panel grid" aria-label="Hosts">
        <header>
          <search className="filters grow">
            <Search value={filter.name} onChange={(name) => set("name", name)} />
            <select
              aria-label="Status"
              value={filter.status}
              onChange={(event) => set("status", event.target.value)}
            >
              <option value="">Any status</option>
              <option value="online">Online</option>
              <option value="offline">Offline</option>
            </select>
            {groupNames.size > 0 && (
              <select
                aria-label="Group"
                value={filter.group}
                onChange={(event) => set("group", event.target.value)}
              >
                <option value="">Any group</option>
                {[...groupNames].map(([id, name]) => (
                  <option key={id} value={id}>
                    {plain(name)}
                  </option>
                ))}
              </select>
            )}
            {(labels.data?.labels.length ?? 0) > 0 && (
              <select
                aria-label="Label"
                value={filter.label}
                onChange={(event) => set("label", event.target.value)}
              >
                <option value="">Any label</option>
                {labelChoices(labels.data?.labels ?? []).map(({ value, text }) => (
                  <option key={value} value={value}>
                    {text}
                  </option>
                ))}
              </select>
            )}
            {filtered && (
              <button type="button" className="plain" onClick={() => setQuery({}, { replace: true })}>
                Clear
              </button>
            )}
          </search>
          <Bulk selected={selected} rows={rows} onClear={() => setSelected({})} />
        </header>
        {hosts.data ? (
          rows.length ? (
            <Table
              rows={rows}
              groups={groupNames}
              selected={selected}
              onSelect={setSelected}
              more={
                hosts.hasNextPage && !hosts.isFetchingNextPage ? () => void hosts.fetchNextPage() : undefined
              }
            />
          ) : filtered ? (
            <Empty title="No host matches">Search for another part of a name, or clear the filters.</Empty>
          ) : (
            <Empty title="No hosts yet">A host appears here as soon as its agent has enrolled.</Empty>
          )
        ) : hosts.error ? (
          <Failed error={hosts.error} retry={() => void hosts.refetch()} />
        ) : (
          <Loading />
        )}
      </section>
    </Page>
  );
}

function Search({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [typed, setTyped] = useState(value);
  const change = useRef(onChange);
  change.current = onChange;
  useEffect(() => {
    if (typed === value) return;
    const timer = setTimeout(() => change.current(typed), TYPED_MS);
    return () => clearTimeout(timer);
  }, [typed, value]);
  useEffect(() => setTyped(value), [value]);
  return (
    <input
      type="search"
      aria-label="Search by name"
      placeholder="Search by name"
      value={typed}
      onChange={(event) => setTyped(event.target.value)}
    />
  );
}

/** What can be done with the hosts that are chosen. */
function Bulk({
  selected,
  rows,
  onClear,
}: {
  selected: RowSelectionState;
  rows: readonly Host[];
  onClear: () => void;
}) {
  const navigate = useNavigate();
  const may = useMay(CommandService.method.createCommand);
  const mayEdit = useMay(HostService.method.updateHost);
  const [edited, setEdited] = useState<readonly string[]>();
  const ids = Object.keys(selected);
  if (!ids.length) return null;
  return (
    <div className="actions">
      <span className="number" role="status">
        {ids.length} selected
      </span>
      {may && (
        <button
          type="button"
          className="primary"
          disabled={ids.length > SELECTED_MAX}
          title={
            ids.length > SELECTED_MAX
              ? `A command takes ${SELECTED_MAX} hosts by name; name a group or a label`
              : undefined
          }
          onClick={() => navigate("/run", { state: { hosts: ids } })}
        >
          Run a command
        </button>
      )}
      {mayEdit && (
        <button type="button" onClick={() => setEdited(ids)}>
          Labels and groups
        </button>
      )}
      <button type="button" className="plain" onClick={onClear}>
        Clear selection
      </button>
      {edited && (
        <EditHosts
          ids={edited}
          nameOf={(id) => rows.find((host) => host.id === id)?.name ?? id}
          onClose={() => setEdited(undefined)}
        />
      )}
    </div>
  );
}

export function HostState({ host }: { host: Host }) {
  if (host.revokedAt) return <State tone="warn">revoked</State>;
  if (host.detail) return <State tone="bad">{plain(host.detail).replaceAll("_", " ")}</State>;
  return host.status === HostStatus.ONLINE ? (
    <State tone="good">online</State>
  ) : (
    <State tone="idle" hollow>
      offline
    </State>
  );
}

export const percent = (value: number | undefined) => (value === undefined ? "–" : `${Math.round(value)} %`);

/** All that are loaded: how many, how many of them are chosen, and how they are. */
interface All {
  rows: number;
  chosen: number;
  select: (on: boolean) => void;
}

function columns(groups: Map<string, string>, all: All): ColumnDef<Host>[] {
  return [
    {
      id: "select",
      header: () => (
        <input
          type="checkbox"
          aria-label="Select all that are loaded"
          checked={all.chosen > 0 && all.chosen === all.rows}
          ref={(box) => {
            if (box) box.indeterminate = all.chosen > 0 && all.chosen < all.rows;
          }}
          onChange={(event) => all.select(event.target.checked)}
        />
      ),
      cell: ({ row }) => (
        <input
          type="checkbox"
          aria-label={`Select ${plain(row.original.name)}`}
          checked={row.getIsSelected()}
          onChange={row.getToggleSelectedHandler()}
        />
      ),
    },
    {
      id: "name",
      header: "Name",
      cell: ({ row: { original: host } }) => (
        <div className="cut">
          <Link to={`/hosts/${host.id}`} title={plain(host.name)}>
            <Word>{host.name}</Word>
          </Link>
        </div>
      ),
    },
    { id: "status", header: "Status", cell: ({ row }) => <HostState host={row.original} /> },
    {
      id: "labels",
      header: "Labels",
      meta: "wide",
      cell: ({ row }) => (
        <div className="cut">
          <Labels labels={row.original.labels} />
        </div>
      ),
    },
    {
      id: "groups",
      header: "Groups",
      meta: "wide",
      cell: ({ row }) => (
        <div className="cut">
          <Word>{row.original.groupIds.map((id) => groups.get(id) ?? "…").join(", ")}</Word>
        </div>
      ),
    },
    {
      id: "processor",
      header: "CPU",
      meta: "wide number",
      cell: ({ row }) => percent(row.original.health?.cpuPercent),
    },
    {
      id: "memory",
      header: "Memory",
      meta: "wide number",
      cell: ({ row }) => percent(row.original.health?.memoryPercent),
    },
    {
      id: "seen",
      header: "Last seen",
      meta: "wide",
      cell: ({ row }) => <When at={row.original.lastSeenAt} />,
    },
  ];
}

function Table({
  rows,
  groups,
  selected,
  onSelect,
  more,
}: {
  rows: Host[];
  groups: Map<string, string>;
  selected: RowSelectionState;
  onSelect: (selected: RowSelectionState) => void;
  more?: () => void;
}) {
  const scroll = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_PX,
    overscan: OVERSCAN,
  });
  const seen = virtual.getVirtualItems();
  const [first, last] = [seen[0]?.index ?? 0, seen.at(-1)?.index ?? 0];
  const all: All = {
    rows: rows.length,
    chosen: Object.keys(selected).length,
    select: (on) => onSelect(on ? Object.fromEntries(rows.map(({ id }) => [id, true])) : {}),
  };
  // The table knows of what is seen alone: of all of them it would make rows anew whenever one has changed.
  const table = useReactTable({
    data: useMemo(() => rows.slice(first, last + 1), [rows, first, last]),
    columns: columns(groups, all),
    state: { rowSelection: selected },
    onRowSelectionChange: (next) => onSelect(typeof next === "function" ? next(selected) : next),
    getRowId: ({ id }) => id,
    getCoreRowModel: getCoreRowModel(),
  });
  const model = table.getRowModel().rows;
  useEffect(() => {
    if (more && last > rows.length - PAGE_SIZE / 2) more();
  }, [last, rows.length, more]);
  return (
    <div className="hosts" role="table" aria-rowcount={more ? -1 : rows.length + 1}>
      {table.getHeaderGroups().map((group) => (
        <div className="line head" role="row" key={group.id} aria-rowindex={1}>
          {group.headers.map((header) => (
            <div role="columnheader" key={header.id} className={cell(header.column.columnDef.meta)}>
              {flexRender(header.column.columnDef.header, header.getContext())}
            </div>
          ))}
        </div>
      ))}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
      <div className="rows" ref={scroll} role="rowgroup" tabIndex={0} aria-label="Hosts">
        <div className="body" role="presentation" style={{ height: virtual.getTotalSize() }}>
          {seen.map(({ index, start }) => {
            const row = model[index - first];
            if (!row) return null;
            return (
              <Line
                key={row.id}
                row={row}
                index={index}
                start={start}
                selected={row.getIsSelected()}
                groups={groups}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** One host's line. Scrolling draws those anew that come into sight, and an event the one that it is about. */
const Line = memo(
  function Line({ row, index, start, selected }: LineOf) {
    return (
      <div
        className="line"
        role="row"
        aria-rowindex={index + 2}
        aria-selected={selected}
        style={{ transform: `translateY(${start}px)` }}
      >
        {row.getVisibleCells().map((visible) => (
          <div role="cell" key={visible.id} className={cell(visible.column.columnDef.meta)}>
            {flexRender(visible.column.columnDef.cell, visible.getContext())}
          </div>
        ))}
      </div>
    );
  },
  (a, b) =>
    a.row.original === b.row.original &&
    a.index === b.index &&
    a.start === b.start &&
    a.selected === b.selected &&
    a.groups === b.groups,
);

interface LineOf {
  row: Row<Host>;
  index: number;
  start: number;
  selected: boolean;
  /** Their names stand in the line. */
  groups: Map<string, string>;
}

const cell = (meta: unknown) => (typeof meta === "string" ? meta : undefined);
