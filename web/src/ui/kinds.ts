// The schema's messages by their names.

import { createRegistry } from "@bufbuild/protobuf";
import { file_fleetwire_api_v1_command } from "fleetwire/api/v1/command";
import { file_fleetwire_link_v1_agent_update } from "fleetwire/link/v1/agent_update";
import { file_fleetwire_link_v1_file_transfer } from "fleetwire/link/v1/file_transfer";
import { file_fleetwire_link_v1_inventory } from "fleetwire/link/v1/inventory";
import { file_fleetwire_link_v1_package } from "fleetwire/link/v1/package";
import { file_fleetwire_link_v1_script } from "fleetwire/link/v1/script";
import { file_fleetwire_link_v1_service } from "fleetwire/link/v1/service";
import { file_fleetwire_link_v1_system } from "fleetwire/link/v1/system";

export const kinds = createRegistry(
  file_fleetwire_api_v1_command,
  file_fleetwire_link_v1_agent_update,
  file_fleetwire_link_v1_file_transfer,
  file_fleetwire_link_v1_inventory,
  file_fleetwire_link_v1_package,
  file_fleetwire_link_v1_script,
  file_fleetwire_link_v1_service,
  file_fleetwire_link_v1_system,
);
