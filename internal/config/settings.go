package config

import (
	"slices"
	"strings"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/limits"
)

// settings is every setting, in the order in which help and docs/configuration.md show them.
var settings = slices.Concat(settingsBefore, limitSettings(), settingsAfter)

var settingsBefore = []setting{
	{
		name: "LOKI_URL", kind: kindURLs, required: "required", field: "Loki.URL",
		meaning: "Loki's base URL, such as `http://loki:3100`; or several of one Loki, of which one that fails is left out",
		target:  func(d *loader) any { return &d.Loki.URL },
	},
	{
		name: "LOKI_ORG_ID", kind: kindText, field: "Loki.OrgID",
		meaning: "`X-Scope-OrgID` to send to Loki: fixed text, or with `{tenant}`",
		target:  func(d *loader) any { return &d.Loki.OrgID },
	},
	{
		name: "LOKI_CA_FILE", kind: kindFile, field: "Loki.CAFile",
		meaning: "authorities in PEM whose certificates Loki may show, instead of the system's",
		target:  func(d *loader) any { return &d.Loki.CAFile },
	},
	{
		name: "LOKI_CERT_FILE", kind: kindFile, field: "Loki.CertFile",
		meaning: "certificate chain in PEM that is shown to Loki",
		target:  func(d *loader) any { return &d.Loki.CertFile },
	},
	{
		name: "LOKI_KEY_FILE", kind: kindFile, field: "Loki.KeyFile",
		meaning: "that certificate's private key in PEM",
		target:  func(d *loader) any { return &d.Loki.KeyFile },
	},
	{
		name: "LOKI_TLS_MIN_VERSION", kind: kindText, fallback: "1.2", field: "Loki.TLSMinVersion",
		meaning: "oldest version of TLS that is spoken to Loki: `1.2` or `1.3`",
		target:  func(d *loader) any { return &d.Loki.TLSMinVersion },
	},
	{
		name: "LOKI_SERVER_NAME", kind: kindText, field: "Loki.ServerName",
		meaning: "the name that Loki's certificate must have, if not the host of `LOGFENCE_LOKI_URL`",
		target:  func(d *loader) any { return &d.Loki.ServerName },
	},
	{
		name: "LOKI_BEARER_TOKEN_FILE", kind: kindFile, field: "Loki.BearerTokenFile",
		meaning: "a token to send to Loki, or to what stands before it",
		target:  func(d *loader) any { return &d.Loki.BearerTokenFile },
	},
	{
		name: "LOKI_BASIC_AUTH_FILE", kind: kindFile, field: "Loki.BasicAuthFile",
		meaning: "`user:password` to send to Loki instead, on one line",
		target:  func(d *loader) any { return &d.Loki.BasicAuthFile },
	},
	{
		name: "LOKI_KEEP_ALIVE", kind: kindSwitch, fallback: "true",
		meaning: "reuse HTTP/1.1 connections to Loki; `false` opens one per request, see docs/isolation.md",
		target:  func(d *loader) any { return &d.LokiKeepAlive },
	},
	{
		name: "LOKI_COMPAT", kind: kindSwitch, fallback: "true",
		meaning: "serve Loki's own paths, `/loki/api/v1/…`, for logcli and Grafana",
		target:  func(d *loader) any { return &d.LokiCompat },
	},

	{
		name: "ADDR", kind: kindAddress, fallback: ":8080", field: "Addr",
		meaning: "where the API is served",
		target:  func(d *loader) any { return &d.Addr },
	},
	{
		name: "ADMIN_ADDR", kind: kindAddress, fallback: "127.0.0.1:9090", field: "AdminAddr",
		meaning: "where health and metrics are served to operators, without authentication",
		target:  func(d *loader) any { return &d.AdminAddr },
	},
	{
		name: "TLS_CERT_FILE", kind: kindFile, field: "TLSCertFile",
		meaning: "certificate chain in PEM: serve the API over TLS",
		target:  func(d *loader) any { return &d.TLSCertFile },
	},
	{
		name: "TLS_KEY_FILE", kind: kindFile, field: "TLSKeyFile",
		meaning: "the certificate's private key in PEM",
		target:  func(d *loader) any { return &d.TLSKeyFile },
	},
	{
		name: "CORS_ORIGINS", kind: kindList, field: "CORSOrigins",
		meaning: "origins whose pages may call the API, compared exactly, such as `https://grafana.example.com`",
		target:  func(d *loader) any { return &d.CORSOrigins },
	},
	{
		name: "UI", kind: kindSwitch, fallback: "true",
		meaning: "serve the log page at `/explore`",
		target:  func(d *loader) any { return &d.UI },
	},
	{
		name: "UI_OIDC_CLIENT_ID", kind: kindText, field: "Sign.ClientID",
		meaning: "the public client as which the log page has people sign in at the issuer, or the first of several; without it they paste a token",
		target:  func(d *loader) any { return &d.Sign.ClientID },
	},
	{
		name: "UI_OIDC_SCOPES", kind: kindText, fallback: "openid profile", field: "Sign.Scopes",
		meaning: "scopes that the log page asks for, with spaces between; `offline_access` for a refresh token, with most providers",
		target:  func(d *loader) any { return &d.Sign.Scopes },
	},
	{
		name: "UI_OIDC_PARAMETERS", kind: kindList, field: "Sign.Parameters",
		meaning: "what else the provider wants to be told at sign-in, such as `audience=logfence`",
		target:  func(d *loader) any { return &d.Sign.Parameters },
	},

	{
		name: "DRAIN_DELAY", kind: kindDuration, fallback: "0s", field: "DrainDelay",
		meaning: "how long connections are still taken after SIGTERM, for balancers to see `/readyz` and turn away",
		target:  func(d *loader) any { return &d.DrainDelay },
	},
	{
		name: "DRAIN_TIMEOUT", kind: kindDuration, fallback: "20s", field: "DrainTimeout",
		meaning: "how long answers under way may then take to end",
		target:  func(d *loader) any { return &d.DrainTimeout },
	},

	{
		name: "JWT_ISSUER", kind: kindText, required: "required", field: "Auth.Issuers[0].URL",
		meaning: "the tokens' `iss`, compared exactly; its keys are found by OpenID Connect discovery unless they are named",
		target:  func(d *loader) any { return &d.issuer.URL },
	},
	{
		name: "JWT_AUDIENCE", kind: kindText, required: "required", field: "Auth.Issuers[0].Audience",
		meaning: "the tokens' `aud`, compared exactly",
		target:  func(d *loader) any { return &d.issuer.Audience },
	},
	{
		name: "JWT_JWKS_URL", kind: kindURL, field: "Auth.Issuers[0].JWKSURL",
		meaning: "where the issuer publishes its keys, if not by discovery",
		target:  func(d *loader) any { return &d.issuer.JWKSURL },
	},
	{
		name: "JWT_KEYS_FILE", kind: kindFile, field: "Auth.Issuers[0].KeysFile",
		meaning: "public keys in a file, PEM or JWKS, instead of `LOGFENCE_JWT_JWKS_URL`",
		target:  func(d *loader) any { return &d.issuer.KeysFile },
	},
	{
		name: "JWT_ALGORITHMS", kind: kindList, fallback: strings.Join(auth.SupportedAlgorithms(), ","), field: "Auth.Algorithms",
		meaning: "signature algorithms taken; there are no symmetric ones",
		target:  func(d *loader) any { return &d.Auth.Algorithms },
	},
	{
		name: "JWT_LEEWAY", kind: kindDuration, fallback: "30s", field: "Auth.Leeway",
		meaning: "clock skew allowed when a token's times are checked",
		target:  func(d *loader) any { return &d.Auth.Leeway },
	},
	{
		name: "JWT_KEYS_MAX_STALE", kind: kindDuration, fallback: "24h", field: "Auth.KeysMaxStale",
		meaning: "how long keys are used that could not be fetched again; after that, requests are refused",
		target:  func(d *loader) any { return &d.Auth.KeysMaxStale },
	},
	{
		name: "JWT_CACHE_TOKENS", kind: kindNumber, fallback: "16384", field: "Auth.CacheEntries",
		meaning: "verified tokens remembered, by their SHA-256 and for a minute at most; 0 verifies each anew",
		target:  func(d *loader) any { return &d.Auth.CacheEntries },
	},
	{
		name: "REQUIRED_SCOPE", kind: kindText, field: "Auth.RequiredScope",
		meaning: "a scope that every token must have, in `scope` or `scp`",
		target:  func(d *loader) any { return &d.Auth.RequiredScope },
	},
	{
		name: "BASIC_TOKEN", kind: kindSwitch, fallback: "false",
		meaning: "take a token as the password of HTTP Basic too, for clients that can send nothing else",
		target:  func(d *loader) any { return &d.BasicToken },
	},
	{
		name: "DANGEROUSLY_ALLOW_HTTP_JWKS", kind: kindSwitch, fallback: "false", field: "Auth.DangerouslyAllowHTTPJWKS",
		meaning: "fetch keys over plain HTTP: whoever is on the way can be any tenant",
		target:  func(d *loader) any { return &d.Auth.DangerouslyAllowHTTPJWKS },
	},

	{
		name: "TENANT_LABEL", kind: kindLabel, fallback: "tenant_id", field: "Tenancy.Label",
		meaning: "the stream label that tells tenants apart; none that begins with `__`, which Loki keeps for itself",
		target:  func(d *loader) any { return &d.Tenancy.Label },
	},
	{
		name: "TENANT_CLAIM", kind: kindText, fallback: "tenant_id", field: "Auth.Issuers[0].TenantClaim",
		meaning: "the claim that names the caller's tenants; dots lead into objects, `\\.` is a dot",
		target:  func(d *loader) any { return &d.issuer.TenantClaim },
	},
	{
		name: "SELECTOR_CLAIM", kind: kindText, field: "Auth.Issuers[0].SelectorClaim",
		meaning: "a claim with a stream selector that confines the caller further, on labels that do not begin with `__`; a token without it is refused",
		target:  func(d *loader) any { return &d.issuer.SelectorClaim },
	},
}

// settingsAfter begin with what else bounds requests.
var settingsAfter = []setting{
	{
		name: "LIMITS_FILE", kind: kindFile, field: "LimitsFile",
		meaning: "YAML file of limits of single tenants and of classes of tenants, read again when it changes and on SIGHUP",
		target:  func(d *loader) any { return &d.LimitsFile },
	},
	{
		name: "REDIS_URL", kind: kindURL, field: "Limits.Redis.URL",
		meaning: "a Redis or Valkey by which replicas count together, `redis://` or `rediss://`; without it each counts for itself",
		target:  func(d *loader) any { return &d.Limits.Redis.URL },
	},
	{
		name: "REDIS_PREFIX", kind: kindText, fallback: "logfence:", field: "Limits.Redis.Prefix",
		meaning: "what its keys begin with; in a cluster in braces, such as `{logfence}:`",
		target:  func(d *loader) any { return &d.Limits.Redis.Prefix },
	},
	{
		name: "REDIS_TIMEOUT", kind: kindDuration, fallback: "100ms", field: "Limits.Redis.Timeout",
		meaning: "longest wait for its answer; then this replica counts for itself until it is back",
		target:  func(d *loader) any { return &d.Limits.Redis.Timeout },
	},
	{
		name: "QUERIES_AT_ONCE", kind: kindNumber, fallback: "256", field: "Limits.AtOnce",
		meaning: "queries of all tenants that Loki is asked at the same time; beyond it tenants take turns",
		target:  func(d *loader) any { return &d.Limits.AtOnce },
	},
	{
		name: "QUEUE_WAIT", kind: kindDuration, fallback: "5s", field: "Limits.Wait",
		meaning: "how long a query may wait for a slot, to be parsed and at Loki",
		target:  func(d *loader) any { return &d.Limits.Wait },
	},
	{
		name: "MAX_BODY_BYTES", kind: kindSize, fallback: "400KiB", field: "MaxBodyBytes",
		meaning: "largest form or JSON body taken",
		target:  func(d *loader) any { return &d.MaxBodyBytes },
	},
	{
		name: "MAX_HEADER_BYTES", kind: kindSize, fallback: "64KiB", field: "MaxHeaderBytes",
		meaning: "largest request line and headers taken, a token in them included",
		target:  func(d *loader) any { return &d.MaxHeaderBytes },
	},
	{
		name: "HEADER_TIMEOUT", kind: kindDuration, fallback: "10s", field: "HeaderTimeout",
		meaning: "how long a client may take to send the headers of a request",
		target:  func(d *loader) any { return &d.HeaderTimeout },
	},
	{
		name: "CLIENT_TIMEOUT", kind: kindDuration, fallback: "30s", field: "ClientTimeout",
		meaning: "how long a client may take to send a body, or to take one piece of an answer; slower ones are let go",
		target:  func(d *loader) any { return &d.ClientTimeout },
	},
	{
		name: "IDLE_TIMEOUT", kind: kindDuration, fallback: "2m", field: "IdleTimeout",
		meaning: "how long a connection without a request is kept",
		target:  func(d *loader) any { return &d.IdleTimeout },
	},
	{
		name: "PARSE_AT_ONCE", kind: kindNumber, fallback: "0", field: "Limits.Parsing.AtOnce",
		meaning: "queries parsed at the same time; 0 is one for each core",
		target:  func(d *loader) any { return &d.Limits.Parsing.AtOnce },
	},
	{
		name: "PARSE_QUEUE", kind: kindNumber, fallback: "512", field: "Limits.Parsing.Queue",
		meaning: "queries that may wait to be parsed, of all tenants; beyond it the answer is 503",
		target:  func(d *loader) any { return &d.Limits.Parsing.Queue },
	},
	{
		name: "PARSE_QUEUE_PER_TENANT", kind: kindNumber, fallback: "64", field: "Limits.Parsing.QueuePerKey",
		meaning: "queries of one tenant that may wait to be parsed",
		target:  func(d *loader) any { return &d.Limits.Parsing.QueuePerKey },
	},

	{
		name: "AUDIT_LOG", kind: kindSink, fallback: "off", field: "Audit.Log",
		meaning: "where one JSON record for each decision goes; a file is made with mode 0600, and reopened on SIGHUP",
		target:  func(d *loader) any { return &d.Audit.Log },
	},
	{
		name: "AUDIT_QUERIES", kind: kindQueries, fallback: "text", field: "Audit.Queries",
		meaning: "queries in audit records as text, or as their SHA-256; the log has `LOGFENCE_LOG_QUERIES`",
		target:  func(d *loader) any { return &d.Audit.Queries },
	},
	{
		name: "AUDIT_REQUIRED", kind: kindSwitch, fallback: "false", field: "Audit.Required",
		meaning: "refuse requests that cannot be recorded: a full disk is an outage then",
		target:  func(d *loader) any { return &d.Audit.Required },
	},
	{
		name: "TRUSTED_PROXIES", kind: kindNetworks, field: "TrustedProxies",
		meaning: "networks of proxies whose `X-Forwarded-For` or `Forwarded` tells the caller's address, such as `10.0.0.0/8`",
		target:  func(d *loader) any { return &d.TrustedProxies },
	},
	{
		name: "LOG_LEVEL", kind: kindLevel, fallback: "info",
		meaning: "least level that is logged",
		target:  func(d *loader) any { return &d.LogLevel },
	},
	{
		name: "LOG_FORMAT", kind: kindFormat, fallback: "json",
		meaning: "how log lines are written",
		target:  func(d *loader) any { return &d.LogFormat },
	},
	{
		name: "LOG_QUERIES", kind: kindLogged, fallback: "text",
		meaning: "queries in log lines as text, as their SHA-256, or not at all; without the text, causes that may quote it are left out",
		target:  func(d *loader) any { return &d.LogQueries },
	},
	{
		name: "METRICS_TENANTS", kind: kindNumber, fallback: "0", field: "MetricsTenants",
		meaning: "tenants that metrics name, the first that come; all others are one, `(other)`; 0 names none",
		target:  func(d *loader) any { return &d.MetricsTenants },
	},
	{
		name: "PPROF", kind: kindSwitch, fallback: "true",
		meaning: "serve profiles of the process to operators, at `/debug/pprof/` of the admin listener",
		target:  func(d *loader) any { return &d.PProf },
	},
}

// limitSettings are the rows of the table of limits, as settings for all tenants without a value of their own.
func limitSettings() []setting {
	var rows []setting
	for _, d := range limits.Table() {
		rows = append(rows, setting{
			name: d.Setting, kind: kindsOfLimits[d.Unit], fallback: d.DefaultText(), meaning: d.Meaning,
			field: "Limits." + d.Key, perTenant: d.Key,
			target: func(to *loader) any { return d.Field(&to.Limits.Limits) },
		})
	}
	return rows
}

var kindsOfLimits = map[limits.Unit]kind{
	limits.UnitNumber: kindNumber, limits.UnitBytes: kindSize, limits.UnitDuration: kindDuration,
}
