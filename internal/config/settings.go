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
		meaning: "base URL of Loki, such as `http://loki:3100`; or several URLs of one Loki: one that fails is not used until it recovers",
		target:  func(d *loader) any { return &d.Loki.URL },
	},
	{
		name: "LOKI_ORG_ID", kind: kindText, field: "Loki.OrgID", protects: true,
		meaning: "`X-Scope-OrgID` header of requests to Loki: fixed text, or with `{tenant}`",
		target:  func(d *loader) any { return &d.Loki.OrgID },
	},
	{
		name: "LOKI_CA_FILE", kind: kindFile, field: "Loki.CAFile", protects: true,
		meaning: "CA certificates (PEM file) used to verify Loki's certificate, instead of the system's",
		target:  func(d *loader) any { return &d.Loki.CAFile },
	},
	{
		name: "LOKI_CERT_FILE", kind: kindFile, field: "Loki.CertFile",
		meaning: "client certificate chain (PEM file) presented to Loki",
		target:  func(d *loader) any { return &d.Loki.CertFile },
	},
	{
		name: "LOKI_KEY_FILE", kind: kindFile, field: "Loki.KeyFile",
		meaning: "private key (PEM file) of `LOGFENCE_LOKI_CERT_FILE`",
		target:  func(d *loader) any { return &d.Loki.KeyFile },
	},
	{
		name: "LOKI_TLS_MIN_VERSION", kind: kindText, fallback: "1.2", field: "Loki.TLSMinVersion",
		meaning: "lowest TLS version for connections to Loki: `1.2` or `1.3`",
		target:  func(d *loader) any { return &d.Loki.TLSMinVersion },
	},
	{
		name: "LOKI_SERVER_NAME", kind: kindText, field: "Loki.ServerName",
		meaning: "name that Loki's certificate must have, if not the host of `LOGFENCE_LOKI_URL`",
		target:  func(d *loader) any { return &d.Loki.ServerName },
	},
	{
		name: "LOKI_BEARER_TOKEN_FILE", kind: kindFile, field: "Loki.BearerTokenFile",
		meaning: "file of the bearer token sent to Loki, or to the reverse proxy in front of it",
		target:  func(d *loader) any { return &d.Loki.BearerTokenFile },
	},
	{
		name: "LOKI_BASIC_AUTH_FILE", kind: kindFile, field: "Loki.BasicAuthFile",
		meaning: "file of the credentials for HTTP Basic authentication at Loki, instead of a token: `user:password` on one line",
		target:  func(d *loader) any { return &d.Loki.BasicAuthFile },
	},
	{
		name: "LOKI_KEEP_ALIVE", kind: kindSwitch, fallback: "true",
		meaning: "reuse of HTTP/1.1 connections to Loki; `false` opens one per request, see docs/isolation.md",
		target:  func(d *loader) any { return &d.LokiKeepAlive },
	},
	{
		name: "DANGEROUSLY_STORED_PATTERNS", kind: kindSwitch, fallback: "false",
		meaning: "let Loki return stored patterns to Grafana's Logs Drilldown; only where your collectors control all values of labels: " +
			"Loki stores these values unescaped, so that one tenant's can pass for another's, see docs/isolation.md",
		target: func(d *loader) any { return &d.Loki.DangerouslyStoredPatterns },
	},
	{
		name: "LOKI_ACTOR_LEVELS", kind: kindNumber, fallback: "2", field: "Loki.ActorLevels",
		meaning: "segments of `X-Loki-Actor-Path`, by which Loki's query scheduler serves tenants (1), and users within a tenant (2), in turn; 0 sends none",
		target:  func(d *loader) any { return &d.Loki.ActorLevels },
	},
	{
		name: "LOKI_MAX_TAILS", kind: kindNumber, fallback: "6", field: "LokiTails",
		meaning: "tails open on Loki for an organization, in this process, one for each different query: Loki allows ten (`max_concurrent_tail_requests`), " +
			"which replicas and other clients share. The lines of more queries are polled, every 1 to 5 seconds",
		target: func(d *loader) any { return &d.LokiTails },
	},
	{
		name: "LOKI_TESTED_ONLY", kind: kindSwitch, fallback: "false", protects: true,
		meaning: "start only in front of a Loki whose version isolation is tested with; otherwise a newer one is a warning, in the log, at `/readyz` and in metrics",
		target:  func(d *loader) any { return &d.LokiTestedOnly },
	},
	{
		name: "LOKI_COMPAT", kind: kindSwitch, fallback: "true",
		meaning: "serve Loki's own paths, `/loki/api/v1/…`, for logcli and Grafana",
		target:  func(d *loader) any { return &d.LokiCompat },
	},

	{
		name: "ADDR", kind: kindAddress, fallback: ":8080", field: "Addr",
		meaning: "address that the API listens on",
		target:  func(d *loader) any { return &d.Addr },
	},
	{
		name: "ADMIN_ADDR", kind: kindAddress, fallback: "127.0.0.1:9090", field: "AdminAddr",
		meaning: "address that health checks and metrics listen on, for operators, without authentication",
		target:  func(d *loader) any { return &d.AdminAddr },
	},
	{
		name: "TLS_CERT_FILE", kind: kindFile, field: "TLSCertFile", protects: true,
		meaning: "certificate chain (PEM file); with it the API is served over TLS",
		target:  func(d *loader) any { return &d.TLSCertFile },
	},
	{
		name: "TLS_KEY_FILE", kind: kindFile, field: "TLSKeyFile", protects: true,
		meaning: "private key (PEM file) of `LOGFENCE_TLS_CERT_FILE`",
		target:  func(d *loader) any { return &d.TLSKeyFile },
	},
	{
		name: "BASE_PATH", kind: kindText, field: "BasePath",
		meaning: "path below which everything on `LOGFENCE_ADDR` is served, such as `/logs` for `https://portal.example.com/logs/explore`; without it, at the root",
		target:  func(d *loader) any { return &d.BasePath },
	},
	{
		name: "BASE_PATH_STRIPPED", kind: kindSwitch, fallback: "false", field: "BasePathStripped",
		meaning: "the reverse proxy removes `LOGFENCE_BASE_PATH` from requests before it passes them on; `false`: it passes them on as they are",
		target:  func(d *loader) any { return &d.BasePathStripped },
	},
	{
		name: "CORS_ORIGINS", kind: kindList, field: "CORSOrigins",
		meaning: "origins that may call the API from a browser, compared exactly, such as `https://grafana.example.com`",
		target:  func(d *loader) any { return &d.CORSOrigins },
	},
	{
		name: "UI", kind: kindSwitch, fallback: "true",
		meaning: "serve the log explorer at `/explore`",
		target:  func(d *loader) any { return &d.UI },
	},
	{
		name: "UI_OIDC_CLIENT_ID", kind: kindText, field: "SignIn.ClientID",
		meaning: "client ID (of a public client) with which the log explorer signs users in at the issuer, or at the first of several; without it, users paste a token",
		target:  func(d *loader) any { return &d.SignIn.ClientID },
	},
	{
		name: "UI_OIDC_SCOPES", kind: kindText, fallback: "openid profile", field: "SignIn.Scopes",
		meaning: "scopes that the log explorer requests at sign-in, separated by spaces; most providers need `offline_access` for a refresh token",
		target:  func(d *loader) any { return &d.SignIn.Scopes },
	},
	{
		name: "UI_OIDC_PARAMETERS", kind: kindList, field: "SignIn.Parameters",
		meaning: "further parameters of the authorization request at sign-in, such as `audience=logfence`",
		target:  func(d *loader) any { return &d.SignIn.Parameters },
	},
	{
		name: "UI_OIDC_TOKEN", kind: kindText, field: "SignIn.Token",
		meaning: "token that the log explorer sends: `access` (the default), or `id` for the ID token, where the provider's access tokens are not for logfence; its audience is then the client ID",
		target:  func(d *loader) any { return &d.SignIn.Token },
	},
	{
		name: "UI_LINKS", kind: kindList, field: "UILinks",
		meaning: "links that the log explorer shows at an opened line, each `FIELD=TEMPLATE` or `/REGEXP/=TEMPLATE`, such as `trace_id=https://tempo.example.com/trace/{value}`",
		target:  func(d *loader) any { return (*[]string)(&d.UILinks) },
	},

	{
		name: "DRAIN_DELAY", kind: kindDuration, fallback: "0s", field: "DrainDelay",
		meaning: "how long new connections are still accepted after SIGTERM, so that load balancers see `/readyz` fail and stop sending requests",
		target:  func(d *loader) any { return &d.DrainDelay },
	},
	{
		name: "DRAIN_TIMEOUT", kind: kindDuration, fallback: "20s", field: "DrainTimeout",
		meaning: "how long requests in flight may then take to complete",
		target:  func(d *loader) any { return &d.DrainTimeout },
	},

	{
		name: "JWT_ISSUER", kind: kindText, required: "required", field: "Auth.Issuers[0].URL",
		meaning: "`iss` of the tokens, compared exactly; its keys are found by OpenID Connect discovery unless `LOGFENCE_JWT_JWKS_URL` or `LOGFENCE_JWT_KEYS_FILE` is set",
		target:  func(d *loader) any { return &d.issuer.URL },
	},
	{
		name: "JWT_AUDIENCE", kind: kindList, required: "required", field: "Auth.Issuers[0].Audiences",
		meaning: "values of the tokens' `aud`, compared exactly: each token must have one of them",
		target:  func(d *loader) any { return &d.issuer.Audiences },
	},
	{
		name: "JWT_JWKS_URL", kind: kindURL, field: "Auth.Issuers[0].JWKSURL",
		meaning: "URL of the issuer's keys, instead of discovery",
		target:  func(d *loader) any { return &d.issuer.JWKSURL },
	},
	{
		name: "JWT_KEYS_FILE", kind: kindFile, field: "Auth.Issuers[0].KeysFile",
		meaning: "file of public keys, PEM or JWKS, instead of `LOGFENCE_JWT_JWKS_URL`",
		target:  func(d *loader) any { return &d.issuer.KeysFile },
	},
	{
		name: "TOKEN_HEADERS", kind: kindList, fallback: "Authorization", field: "Auth.Issuers[0].Headers",
		meaning: "headers that a token may come in, such as `X-Id-Token`: the first that is present decides",
		target:  func(d *loader) any { return &d.issuer.Headers },
	},
	{
		name: "JWT_ALGORITHMS", kind: kindList, fallback: strings.Join(auth.SupportedAlgorithms(), ","), field: "Auth.Algorithms", protects: true,
		meaning: "signature algorithms accepted; symmetric ones are not supported",
		target:  func(d *loader) any { return &d.Auth.Algorithms },
	},
	{
		name: "JWT_LEEWAY", kind: kindDuration, fallback: "30s", field: "Auth.Leeway",
		meaning: "clock skew allowed when the times in a token are checked",
		target:  func(d *loader) any { return &d.Auth.Leeway },
	},
	{
		name: "JWT_INFLIGHT_GRACE", kind: kindDuration, fallback: "15m", field: "Auth.InflightGrace",
		meaning: "how long after the expiry of its token, leeway included, a query or an export in flight may continue; then its connection is aborted; 0s: it ends with the token",
		target:  func(d *loader) any { return &d.Auth.InflightGrace },
	},
	{
		name: "JWT_KEYS_MAX_STALE", kind: kindDuration, fallback: "24h", field: "Auth.KeysMaxStale",
		meaning: "how long keys stay in use after the last successful fetch; after that, requests are refused",
		target:  func(d *loader) any { return &d.Auth.KeysMaxStale },
	},
	{
		name: "JWT_CACHE_TOKENS", kind: kindNumber, fallback: "16384", field: "Auth.CacheEntries",
		meaning: "verified tokens cached, by their SHA-256 and for one minute at most; 0 verifies the token of each request",
		target:  func(d *loader) any { return &d.Auth.CacheEntries },
	},
	{
		name: "REQUIRED_SCOPE", kind: kindText, field: "Auth.RequiredScope", protects: true,
		meaning: "scope that every token must have, in `scope` or `scp`",
		target:  func(d *loader) any { return &d.Auth.RequiredScope },
	},
	{
		name: "BASIC_TOKEN", kind: kindSwitch, fallback: "false",
		meaning: "accept a token as the password of HTTP Basic authentication too, for clients that cannot send a bearer token",
		target:  func(d *loader) any { return &d.BasicToken },
	},
	{
		name: "DANGEROUSLY_ALLOW_HTTP_JWKS", kind: kindSwitch, fallback: "false", field: "Auth.DangerouslyAllowHTTPJWKS",
		meaning: "fetch keys over plain HTTP; an attacker in the network path can then act as any tenant",
		target:  func(d *loader) any { return &d.Auth.DangerouslyAllowHTTPJWKS },
	},

	{
		name: "TENANT_LABEL", kind: kindLabel, fallback: "tenant_id", field: "Tenancy.Label",
		meaning: "stream label that holds the tenant; must not begin with `__`, which Loki reserves",
		target:  func(d *loader) any { return &d.Tenancy.Label },
	},
	{
		name: "TENANT_CLAIM", kind: kindText, fallback: "tenant_id", field: "Auth.Issuers[0].TenantClaim",
		meaning: "claim that names the caller's tenants; a dot leads into an object, `\\.` is a literal dot",
		target:  func(d *loader) any { return &d.issuer.TenantClaim },
	},
	{
		name: "SELECTOR_CLAIM", kind: kindText, field: "Auth.Issuers[0].SelectorClaim", protects: true,
		meaning: "claim with a stream selector that confines the caller further, on labels that do not begin with `__`; a token without it is refused",
		target:  func(d *loader) any { return &d.issuer.SelectorClaim },
	},
}

// settingsAfter begin with what else bounds requests.
var settingsAfter = []setting{
	{
		name: "ACCESS_FILE", kind: kindFile, field: "AccessFile", protects: true,
		meaning: "YAML file with the grants that map claims, such as groups, to tenants; reloaded when it changes and on SIGHUP. `LOGFENCE_TENANT_CLAIM` is then not read; see docs/access.md",
		target:  func(d *loader) any { return &d.AccessFile },
	},
	{
		name: "LIMITS_FILE", kind: kindFile, field: "LimitsFile", protects: true,
		meaning: "YAML file with the limits of single tenants and of classes of tenants; reloaded when it changes and on SIGHUP",
		target:  func(d *loader) any { return &d.LimitsFile },
	},
	{
		name: "REDIS_URL", kind: kindURL, field: "Limits.Redis.URL",
		meaning: "URL of a Redis or Valkey in which replicas count together, `redis://` or `rediss://`; without it each replica counts alone",
		target:  func(d *loader) any { return &d.Limits.Redis.URL },
	},
	{
		name: "REDIS_URL_FILE", kind: kindFile, field: "Limits.Redis.URLFile",
		meaning: "file that holds the URL of Redis, in place of `LOGFENCE_REDIS_URL`: it usually has a password",
		target:  func(d *loader) any { return &d.Limits.Redis.URLFile },
	},
	{
		name: "REDIS_PREFIX", kind: kindText, fallback: "logfence:", field: "Limits.Redis.Prefix",
		meaning: "prefix of the keys in Redis; for a Redis Cluster in braces, such as `{logfence}:`",
		target:  func(d *loader) any { return &d.Limits.Redis.Prefix },
	},
	{
		name: "REDIS_TIMEOUT", kind: kindDuration, fallback: "100ms", field: "Limits.Redis.Timeout",
		meaning: "longest wait for a reply of Redis; beyond it this replica counts alone until Redis is back",
		target:  func(d *loader) any { return &d.Limits.Redis.Timeout },
	},
	{
		name: "QUERIES_AT_ONCE", kind: kindNumber, fallback: "256", field: "Limits.AtOnce",
		meaning: "queries of all tenants in flight at Loki; beyond it, queries wait in a queue that is fair between tenants",
		target:  func(d *loader) any { return &d.Limits.AtOnce },
	},
	{
		name: "QUEUE_WAIT", kind: kindDuration, fallback: "5s", field: "Limits.Wait",
		meaning: "longest wait of a request for a slot, of the parser and of Loki, and for memory",
		target:  func(d *loader) any { return &d.Limits.Wait },
	},
	{
		name: "MEMORY_BUDGET", kind: kindSize, field: "Limits.Memory",
		meaning: "memory for what is buffered for callers, of all tenants: pages of context, exports and resumed tails, buffers of tails, bodies; " +
			"beyond it, requests wait in a queue that is fair between tenants, and get 503 after `LOGFENCE_QUEUE_WAIT`; at least 32MiB. " +
			"Not set: half of the smaller of `GOMEMLIMIT` and the container's memory limit, 256MiB where there is neither",
		target: func(d *loader) any { return &d.Limits.Memory },
	},
	{
		name: "MAX_BODY_BYTES", kind: kindSize, fallback: "400KiB", field: "MaxBodyBytes",
		meaning: "largest form or JSON body accepted",
		target:  func(d *loader) any { return &d.MaxBodyBytes },
	},
	{
		name: "MAX_HEADER_BYTES", kind: kindSize, fallback: "64KiB", field: "MaxHeaderBytes",
		meaning: "largest request line and headers accepted, with the token in them",
		target:  func(d *loader) any { return &d.MaxHeaderBytes },
	},
	{
		name: "HEADER_TIMEOUT", kind: kindDuration, fallback: "10s", field: "HeaderTimeout",
		meaning: "longest time in which a client may send the headers of a request",
		target:  func(d *loader) any { return &d.HeaderTimeout },
	},
	{
		name: "CLIENT_TIMEOUT", kind: kindDuration, fallback: "30s", field: "ClientTimeout",
		meaning: "longest time in which a client may send a body, or read one piece of a response; slower clients are disconnected",
		target:  func(d *loader) any { return &d.ClientTimeout },
	},
	{
		name: "IDLE_TIMEOUT", kind: kindDuration, fallback: "2m", field: "IdleTimeout",
		meaning: "how long an idle connection is kept open",
		target:  func(d *loader) any { return &d.IdleTimeout },
	},
	{
		name: "PARSE_AT_ONCE", kind: kindNumber, fallback: "0", field: "Limits.Parsing.AtOnce",
		meaning: "queries parsed at the same time; 0 is one per core",
		target:  func(d *loader) any { return &d.Limits.Parsing.AtOnce },
	},
	{
		name: "PARSE_QUEUE", kind: kindNumber, fallback: "2048", field: "Limits.Parsing.Queue",
		meaning: "queries of all tenants that may wait to be parsed; beyond it the response is 503",
		target:  func(d *loader) any { return &d.Limits.Parsing.Queue },
	},
	{
		name: "PARSE_QUEUE_PER_TENANT", kind: kindNumber, fallback: "256", field: "Limits.Parsing.QueuePerKey",
		meaning: "queries of one tenant that may wait to be parsed",
		target:  func(d *loader) any { return &d.Limits.Parsing.QueuePerKey },
	},

	{
		name: "AUDIT_LOG", kind: kindSink, fallback: "off", field: "Audit.Log", protects: true,
		meaning: "destination of the audit log, one JSON record per request; a file is created with mode 0600, and reopened on SIGHUP",
		target:  func(d *loader) any { return &d.Audit.Log },
	},
	{
		name: "AUDIT_QUERIES", kind: kindQueries, fallback: "text", field: "Audit.Queries", protects: true,
		meaning: "form of queries in audit records: their text or its SHA-256; for log lines see `LOGFENCE_LOG_QUERIES`",
		target:  func(d *loader) any { return &d.Audit.Queries },
	},
	{
		name: "AUDIT_REQUIRED", kind: kindSwitch, fallback: "false", field: "Audit.Required", protects: true,
		meaning: "refuse requests that cannot be recorded; a full disk is then an outage",
		target:  func(d *loader) any { return &d.Audit.Required },
	},
	{
		name: "TRUSTED_PROXIES", kind: kindNetworks, field: "TrustedProxies",
		meaning: "networks of the proxies whose word counts for the caller's address, such as `10.0.0.0/8`",
		target:  func(d *loader) any { return &d.TrustedProxies },
	},
	{
		name: "CLIENT_ADDRESS_HEADER", kind: kindText, fallback: "X-Forwarded-For", field: "ClientAddressHeader",
		meaning: "header in which these proxies write the caller's address: `X-Forwarded-For` or `Forwarded`; the other one is ignored, since a proxy passes it on as the caller wrote it",
		target:  func(d *loader) any { return &d.ClientAddressHeader },
	},
	{
		name: "LOG_LEVEL", kind: kindLevel, fallback: "info",
		meaning: "lowest level that is logged",
		target:  func(d *loader) any { return &d.LogLevel },
	},
	{
		name: "LOG_FORMAT", kind: kindFormat, fallback: "json",
		meaning: "format of log lines",
		target:  func(d *loader) any { return &d.LogFormat },
	},
	{
		name: "LOG_QUERIES", kind: kindLogged, fallback: "text", protects: true,
		meaning: "form of queries in log lines: their text, its SHA-256, or nothing; without the text, causes that may quote it are left out",
		target:  func(d *loader) any { return &d.LogQueries },
	},
	{
		name: "METRICS_TENANTS", kind: kindNumber, fallback: "0", field: "MetricsTenants",
		meaning: "tenants with a label value of their own in metrics, in order of arrival; all others share `(other)`; 0 names none",
		target:  func(d *loader) any { return &d.MetricsTenants },
	},
	{
		name: "PPROF", kind: kindSwitch, fallback: "false",
		meaning: "serve profiles of the process at `/debug/pprof/` of the admin listener; they show queries that are in memory",
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
