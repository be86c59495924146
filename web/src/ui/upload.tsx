// A file for a command: one that the platform has, or one of this machine, which is brought to it piece by piece.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { FileService, type File as Kept } from "fleetwire/api/v1/file";
import { useId, useRef, useState } from "react";
import { calling, client, keyOf, randomKey, useList } from "../api/query";
import { Field, More, Wrong } from "./parts";
import { plain } from "./text";
import { bytes } from "./words";

/** As large as the platform takes a piece. */
const PIECE_BYTES = 1024 * 1024;

/** Reads the file twice: its hash is announced before its first piece goes. */
async function bring(file: File, told: (share: number) => void): Promise<Kept> {
  const { createFile, writeFile } = FileService.method;
  const hash = sha256.create();
  const piece = async (at: number) => new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer());
  for (let at = 0; at < file.size; at += PIECE_BYTES) {
    hash.update(await piece(at));
    told(at / file.size / 2);
  }
  const announced = await calling(
    createFile,
    { name: file.name.slice(0, 255), sizeBytes: BigInt(file.size), sha256: bytesToHex(hash.digest()) },
    { headers: { "idempotency-key": randomKey() } },
  );
  let kept = announced.file;
  while (kept && !kept.complete) {
    const at = Number(kept.receivedBytes);
    const data = await piece(at);
    // It became shorter since it was hashed.
    if (!data.length && file.size > 0) throw new Error("The file has changed meanwhile. Choose it again.");
    kept = (await calling(writeFile, { fileId: kept.id, offset: kept.receivedBytes, data })).file;
    if (kept && Number(kept.receivedBytes) <= at && !kept.complete)
      throw new Error("The file has changed meanwhile. Choose it again.");
    told(0.5 + at / file.size / 2);
  }
  if (!kept) throw new Error("The platform's answer has no file.");
  return kept;
}

export function FileChoice({
  label,
  value,
  onChange,
}: {
  label: string;
  value: Kept | undefined;
  onChange: (file: Kept | undefined) => void;
}) {
  const files = useList(FileService.method.listFiles, { pageSize: 100 });
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  const [share, setShare] = useState<number>();
  const [error, setError] = useState<unknown>();
  const whole = (files.data?.pages ?? []).flatMap(({ files }) => files).filter(({ complete }) => complete);
  if (value && !whole.some(({ id }) => id === value.id)) whole.unshift(value);
  const take = async (file: File) => {
    setError(undefined);
    setShare(0);
    try {
      onChange(await bring(file, setShare));
      void client.invalidateQueries({ queryKey: keyOf(FileService.method.listFiles) });
    } catch (error) {
      setError(error);
    } finally {
      setShare(undefined);
      if (input.current) input.current.value = "";
    }
  };
  return (
    <div className="stack">
      <Field label={label}>
        {(ids) => (
          <select
            {...ids}
            name="file"
            value={value?.id ?? ""}
            onChange={(event) => onChange(whole.find(({ id }) => id === event.target.value))}
          >
            <option value="">Choose one that the platform has</option>
            {whole.map(({ id, name, sizeBytes }) => (
              <option key={id} value={id}>
                {plain(name || id)} ({bytes(Number(sizeBytes))})
              </option>
            ))}
          </select>
        )}
      </Field>
      <More of={files} />
      <div className="row">
        <input
          ref={input}
          id={id}
          className="visually-hidden"
          type="file"
          disabled={share !== undefined}
          onChange={(event) => {
            const file = event.target.files?.[0];
            if (file) void take(file);
          }}
        />
        <label className="button" htmlFor={id}>
          Bring one of this machine
        </label>
        {share !== undefined && (
          <span className="muted number" role="status">
            {Math.floor(share * 100)} %
          </span>
        )}
      </div>
      <Wrong error={error} />
    </div>
  );
}
