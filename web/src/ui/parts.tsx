// The parts that pages are put together from. They stand on the browser's own elements (dialog, form, select),
// which bring focus, keyboard and names with them and no style that the content policy would refuse.

import {
  type ComponentProps,
  type ReactNode,
  type SubmitEvent,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import { Link } from "react-router";
import { Refused } from "../api/call";
import { labelText } from "./labels";
import { Word } from "./text";

export type Tone = "good" | "warn" | "bad" | "busy" | "idle";

/** A page: its title, what can be done, and what it shows. */
export function Page({
  title,
  back,
  beside,
  actions,
  children,
}: {
  title: ReactNode;
  back?: { to: string; text: string };
  beside?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${heading.current?.textContent ?? ""} · Fleetwire`;
  });
  return (
    <div className="page">
      {back && (
        <nav className="back" aria-label="Back">
          <Link to={back.to}>← {back.text}</Link>
        </nav>
      )}
      <header>
        <h1 ref={heading}>{title}</h1>
        {beside}
        {actions && <div className="actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

export function Panel({
  title,
  actions,
  flush,
  children,
}: {
  title?: ReactNode;
  actions?: ReactNode;
  flush?: boolean;
  children: ReactNode;
}) {
  return (
    <section className="panel">
      {title && (
        <header>
          <h2>{title}</h2>
          {actions && <div className="actions">{actions}</div>}
        </header>
      )}
      {flush ? children : <div className="body">{children}</div>}
    </section>
  );
}

export function State({ tone, hollow, children }: { tone: Tone; hollow?: boolean; children: ReactNode }) {
  return <span className={`state ${tone}${hollow ? " hollow" : ""}`}>{children}</span>;
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="message">
      <strong>{title}</strong>
      {children && <p>{children}</p>}
    </div>
  );
}

export function Loading() {
  return (
    <div className="message" role="status">
      <span className="spinner" />
      <span className="visually-hidden">Loading</span>
    </div>
  );
}

/** What went wrong, in the platform's words, with its stable code. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div className="message" role="alert">
      <strong>This could not be loaded</strong>
      <p>{says(error)}</p>
      {error instanceof Refused && <code>{error.code}</code>}
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function says(error: unknown): string {
  return error instanceof Error ? error.message : "Something went wrong.";
}

/** A refusal beside the form that it is about. */
export function Wrong({ error }: { error: unknown }) {
  if (!error) return null;
  return (
    <p className="note bad" role="alert">
      {says(error)}
    </p>
  );
}

/** What every query is until it has its answer. */
interface Asked<T> {
  data: T | undefined;
  error: unknown;
  refetch(): unknown;
}

export function Answer<T>({ of, children }: { of: Asked<T>; children: (data: T) => ReactNode }) {
  if (of.data !== undefined) return children(of.data);
  if (of.error) return <Failed error={of.error} retry={() => void of.refetch()} />;
  return <Loading />;
}

/** A field with its name, what it is for, and what is wrong with it. */
export function Field({
  label,
  hint,
  wrong,
  children,
}: {
  label: ReactNode;
  hint?: ReactNode;
  wrong?: string;
  children: (ids: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean }) => ReactNode;
}) {
  const id = useId();
  const described = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(" ") || undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-describedby": described, "aria-invalid": wrong ? true : undefined })}
      {hint && (
        <span className="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {wrong && (
        <span className="wrong" id={`${id}-wrong`}>
          {wrong}
        </span>
      )}
    </div>
  );
}

export function Check({
  label,
  checked,
  onChange,
}: {
  label: ReactNode;
  checked: boolean;
  onChange: (checked: boolean) => void;
}) {
  return (
    <label className="check">
      <input type="checkbox" checked={checked} onChange={(event) => onChange(event.target.checked)} />
      <span>{label}</span>
    </label>
  );
}

/** One of a few. */
export function Choice<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}) {
  const name = useId();
  return (
    <fieldset className="choice">
      <legend className="visually-hidden">{label}</legend>
      {options.map(([option, text]) => (
        <label key={option}>
          <input type="radio" name={name} checked={option === value} onChange={() => onChange(option)} />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** A dialog while it stands here; Escape and its own buttons close it. */
export function Dialog({
  title,
  held,
  onClose,
  onSubmit,
  children,
}: {
  title: string;
  /** Escape does not close it: something is under way, or is shown this once. */
  held?: boolean;
  onClose: () => void;
  onSubmit?: () => void;
  children: ReactNode;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  const inside = (
    <>
      <h2 id={id}>{title}</h2>
      {children}
    </>
  );
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    onSubmit?.();
  };
  return (
    <dialog
      ref={ref}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (!held) onClose();
      }}
    >
      {onSubmit ? <form onSubmit={submit}>{inside}</form> : <div>{inside}</div>}
    </dialog>
  );
}

/** A dialog that asks for something: a form to be filled in, or a question before a change is made. */
export function FormDialog({
  title,
  children,
  action,
  danger,
  pending,
  error,
  onSubmit,
  onClose,
}: {
  title: string;
  children?: ReactNode;
  /** On the button that does it. */
  action: string;
  danger?: boolean;
  pending?: boolean;
  error?: unknown;
  onSubmit: () => void;
  onClose: () => void;
}) {
  return (
    <Dialog title={title} held={pending} onClose={onClose} onSubmit={onSubmit}>
      {children}
      <Wrong error={error} />
      <div className="actions">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className={danger ? "primary danger" : "primary"} disabled={pending}>
          {action}
        </button>
      </div>
    </Dialog>
  );
}

/** Something that is shown once and taken along. */
export function Secret({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <div className="field">
      <div className="between">
        <span className="label">{label}</span>
        {navigator.clipboard && (
          <button
            type="button"
            className="plain"
            onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(true))}
          >
            {copied ? "Copied" : "Copy"}
          </button>
        )}
      </div>
      <div className="secret">{text}</div>
    </div>
  );
}

export function Labels({ labels }: { labels: Record<string, string> }) {
  return (
    <span className="chips">
      {Object.entries(labels)
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([key, value]) => (
          <span className="chip" key={key}>
            <Word>{labelText(key, value)}</Word>
          </span>
        ))}
    </span>
  );
}

/** A button for the rest of a list. */
export function More({
  of,
}: {
  of: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage(): unknown };
}) {
  if (!of.hasNextPage) return null;
  return (
    <div className="more">
      <button type="button" disabled={of.isFetchingNextPage} onClick={() => void of.fetchNextPage()}>
        {of.isFetchingNextPage ? "Loading…" : "Show more"}
      </button>
    </div>
  );
}

/** A dialog that only shows something. */
export function ShownDialog({
  title,
  done = "Close",
  onClose,
  children,
}: {
  title: string;
  /** On its one button. */
  done?: string;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <Dialog title={title} held={done !== "Close"} onClose={onClose}>
      {children}
      <div className="actions">
        <button type="button" className={done === "Close" ? undefined : "primary"} onClick={onClose}>
          {done}
        </button>
      </div>
    </Dialog>
  );
}

/** A line of text to be typed. */
export function TextField({
  label,
  hint,
  wrong,
  onChange,
  ...input
}: Omit<ComponentProps<"input">, "onChange"> & {
  label: ReactNode;
  hint?: ReactNode;
  wrong?: string;
  value: string;
  onChange: (value: string) => void;
}) {
  return (
    <Field label={label} hint={hint} wrong={wrong}>
      {(ids) => (
        <input
          autoComplete="off"
          spellCheck={false}
          {...input}
          {...ids}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

/** A share of a whole, as a bar and a number. */
export function Meter({ label, value }: { label: string; value: number | undefined }) {
  if (value === undefined) return null;
  const tone = value >= 95 ? "bad" : value >= 85 ? "warn" : "busy";
  return (
    <div className="field">
      <div className="between">
        <span>{label}</span>
        <span className="number">{`${Math.round(value)} %`}</span>
      </div>
      <div className="progress">
        <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
          <rect className={`fill-${tone}`} width={Math.min(100, value)} height="1" />
        </svg>
      </div>
    </div>
  );
}
