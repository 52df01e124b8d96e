// This file is auto-generated from openapi.yaml

/**
 * The codes of problems, each with its HTTP status.
 */
export const statusOfCode = {
    kind_wrong: 400,
    loki_refused: 400,
    parameter_invalid: 400,
    query_invalid: 400,
    query_unsupported: 400,
    unauthorized: 401,
    insufficient_scope: 403,
    no_tenant: 403,
    origin_forbidden: 403,
    tenant_not_yours: 403,
    not_found: 404,
    method_not_allowed: 405,
    body_too_large: 413,
    media_type_unsupported: 415,
    query_too_complex: 422,
    query_too_long: 422,
    query_too_wide: 422,
    too_dense: 422,
    too_many_lines: 422,
    upgrade_required: 426,
    rate_limited: 429,
    too_many_tails: 429,
    internal: 500,
    loki_failed: 502,
    loki_unreachable: 502,
    audit_unavailable: 503,
    keys_unavailable: 503,
    overloaded: 503,
    loki_timeout: 504,
} as const;
