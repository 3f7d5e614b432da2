/* Every command's entry, declared from the one table in commands.def. */
#pragma once
#include "cmd/cmd.h"

#define COMMAND(name, summary) int cmd_##name(int argc, char *argv[]);
#include "cmd/commands.def"
#undef COMMAND
