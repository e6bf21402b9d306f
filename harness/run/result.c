/*
 * Interprets the status of a result.
 *
 * SPDX-License-Identifier: MIT
 */
#include "run/result.h"

#include <string.h>

bool godwit_result_passed(const json_t *result)
{
    const char *status = godwit_json_string(result, "status", "fail");
    return !strcmp(status, "pass") || !strcmp(status, "known");
}

bool godwit_result_is_not_run(const json_t *result)
{
    return !strcmp(godwit_json_string(result, "kind", ""), "not-run");
}

bool godwit_result_unconverged(const json_t *result)
{
    return !godwit_result_passed(result) &&
           !strcmp(godwit_json_string(result, "kind", ""), "timeout") &&
           json_object_get(json_object_get(result, "measurements"), "unconverged");
}
