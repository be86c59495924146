// Where the console begins: what the last visit chose, who is signed in, and the pages.

import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { arrive } from "./api/provider";
import { client } from "./api/query";
import { App } from "./app";
import { start } from "./live/live";
import "./style/base.css";
import "./style/parts.css";
import "./style/controls.css";
import "./style/phone.css";
import { applyTheme } from "./theme";

applyTheme();
start();
void arrive();

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
}
