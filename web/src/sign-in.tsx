// The door: a name and a password, a second factor where the user has one, the OpenID provider, or an API key.

import { useEffect, useState } from "react";
import { Refused } from "./api/call";
import { leave, provider } from "./api/provider";
import { useKey as enterWithKey, signIn } from "./api/session";
import { Field, Wrong } from "./ui/parts";
import { Word } from "./ui/text";

type Step = "password" | "code" | "key";

export function SignIn({ why }: { why?: string }) {
  const [step, setStep] = useState<Step>("password");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [key, setKey] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState<string>();
  // Without an answer the other ways are still there.
  useEffect(() => void provider().then(setOver, () => undefined), []);

  const goOver = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await leave();
    } catch (error) {
      setError(error);
      setBusy(false);
    }
  };
  const submit = async () => {
    setBusy(true);
    setError(undefined);
    try {
      if (step === "key") await enterWithKey(key.trim());
      else await signIn(name.trim(), password, step === "code" ? code.replace(/\s/g, "") : undefined);
    } catch (error) {
      if (error instanceof Refused && error.code === "totp_required") setStep("code");
      else setError(error);
      setCode("");
    } finally {
      setBusy(false);
    }
  };
  const go = (next: Step) => {
    setStep(next);
    setError(undefined);
  };

  return (
    <div className="door">
      <main>
        <div className="brand">
          <img src="/favicon.svg" alt="" />
          Fleetwire
        </div>
        <section className="panel">
          <form
            className="form"
            onSubmit={(event) => {
              event.preventDefault();
              void submit();
            }}
          >
            <h1>{step === "code" ? "Second factor" : "Sign in"}</h1>
            {why && !error && <p className="note">{why}</p>}
            {step === "password" && (
              <>
                <Field label="User name">
                  {(ids) => (
                    <input
                      {...ids}
                      name="username"
                      autoComplete="username"
                      autoCapitalize="none"
                      spellCheck={false}
                      required
                      value={name}
                      onChange={(event) => setName(event.target.value)}
                    />
                  )}
                </Field>
                <Field label="Password">
                  {(ids) => (
                    <input
                      {...ids}
                      name="password"
                      type="password"
                      autoComplete="current-password"
                      required
                      value={password}
                      onChange={(event) => setPassword(event.target.value)}
                    />
                  )}
                </Field>
              </>
            )}
            {step === "code" && (
              <Field label="Code" hint="Six digits of your authenticator app, or one of your recovery codes.">
                {(ids) => (
                  <input
                    {...ids}
                    name="code"
                    inputMode="text"
                    autoComplete="one-time-code"
                    autoCapitalize="none"
                    spellCheck={false}
                    required
                    // biome-ignore lint/a11y/noAutofocus: the step is this one field
                    autoFocus
                    value={code}
                    onChange={(event) => setCode(event.target.value)}
                  />
                )}
              </Field>
            )}
            {step === "key" && (
              <Field
                label="API key"
                hint="Such as the one in admin-token of the platform's data directory. It is kept in this tab alone."
              >
                {(ids) => (
                  <input
                    {...ids}
                    name="key"
                    type="password"
                    autoComplete="off"
                    required
                    value={key}
                    onChange={(event) => setKey(event.target.value)}
                  />
                )}
              </Field>
            )}
            <Wrong error={error} />
            <button type="submit" className="primary" disabled={busy}>
              {busy ? "One moment…" : "Sign in"}
            </button>
            {step === "password" && over && (
              <button type="button" disabled={busy} onClick={() => void goOver()}>
                <span className="cut">
                  Sign in with <Word>{over}</Word>
                </span>
              </button>
            )}
            {step === "password" && (
              <button type="button" className="link" onClick={() => go("key")}>
                Use an API key
              </button>
            )}
            {step !== "password" && (
              <button type="button" className="link" onClick={() => go("password")}>
                Use a name and a password
              </button>
            )}
          </form>
        </section>
      </main>
    </div>
  );
}
