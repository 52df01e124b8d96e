package auth

import (
	"net/url"
	"strings"

	"github.com/logfence/logfence/internal/claimpath"
)

// An Issuer is one provider of tokens. Its keys come from JWKSURL or KeysFile or, where neither is
// given, from OpenID Connect discovery at URL/.well-known/openid-configuration.
type Issuer struct {
	// URL is the issuer as it is in the token's `iss`, compared exactly, a slash at the end
	// included. For discovery it has to be an https URL.
	URL string
	// Audiences are what `aud` may be or, where that is an array, one of which it has to contain. Required.
	Audiences []string
	// ClientIDs are for access tokens of Amazon Cognito, which have no `aud`: such a token is accepted where its
	// `client_id` is one of them and its `token_use` is access. Tokens with an `aud` need one of Audiences.
	ClientIDs []string
	// TrustDomain is a trust domain of SPIFFE, in place of URL: tokens without `iss`, whose `sub` is an ID in the
	// domain. JWKSURL is its bundle endpoint; keys need the use jwt-svid.
	TrustDomain string
	// Directories are the directories of Microsoft Entra ID (GUIDs, lower case) whose tokens are accepted, where
	// URL has {tenantid} in place of one. Required there.
	Directories []string
	// Headers are the headers that the issuer's tokens may come in, for proxies that send them in one of their own.
	// Default: Authorization. Whatever can reach logfence can send them, as it can Authorization: the token is
	// what is verified.
	Headers []string
	// Ambient says that a proxy fills the Headers from a cookie, so that a browser sends the token with requests of
	// other sites as well: those are refused, where the browser says so (`Sec-Fetch-Site: cross-site`).
	Ambient bool
	// DiscoveryURL is the complete URL of the discovery document, where the issuer does not lead to it. The document's
	// `issuer` or `access_token_issuer` has to be URL, or DiscoveryIssuer where that is given.
	DiscoveryURL, DiscoveryIssuer string
	// JWKSURL is where the issuer publishes its keys.
	JWKSURL string
	// CAFile holds the authorities (PEM) that may certify the provider, instead of the system's. It is read again
	// for each fetch.
	CAFile string
	// BearerTokenFile holds a token to fetch discovery and keys with, such as that of a service account of Kubernetes.
	// It is read again for each fetch, and sent over https to the host of DiscoveryURL, JWKSURL or URL alone, never
	// after a redirect.
	BearerTokenFile string
	// KeysFile holds public keys, as PEM (public keys or certificates, any number) or JWKS. A change
	// is taken within seconds, and by [Verifier.Reload].
	KeysFile string
	// TenantClaim is the claim that holds the caller's tenants. Required. The claim is a
	// string, or an array of at most 64; each 1 to 128 bytes of [A-Za-z0-9._-].
	//
	// Syntax: a name, or names joined by dots for a claim within objects: `app_metadata.tenant` is
	// the member "tenant" of the claim "app_metadata". Within a name `\.` is a dot and `\\` a
	// backslash; any other backslash is a mistake. As names that are URLs have dots in them, a text
	// that contains "://" and no backslash is one name as it stands: `https://acme.example/tenants`;
	// to go on into such a claim, escape its dots: `https://acme\.example/app.tenant`. Letter case
	// counts, and arrays are not entered.
	TenantClaim string
	// TenantShape is the form of the tenant claim: `keys` of an object, `field:NAME` of each object in an array,
	// `number` (digits alone) or `boolean` by their text, `split:space`, `split:comma` or `split:json` of one string,
	// or `match:PATTERN`, an RE2 pattern with a group named tenant that has to match a complete value; other values
	// of the claim name no tenant, and at most 2000 are read. Default: a string or an array of strings.
	TenantShape string
	// RequiredClaims are claims that every token must have with an exact value, each as `claim=value`; the claim as in
	// TenantClaim, numbers and booleans by their text. A token without one is refused as one without a tenant.
	RequiredClaims []string
	// DangerouslyUserControlledClaim accepts a tenant claim that each user can edit (user_metadata).
	DangerouslyUserControlledClaim bool
	// Tenants are the names of the tenants that this issuer's tokens may name, at most 4096. A token
	// that names another is refused. With more than one issuer each needs Tenants, TenantPattern or
	// AnyTenant: otherwise a token of one could name the tenants of another. With one issuer none of
	// them is needed, and the token may name every tenant. Nil: not given; empty is a mistake.
	Tenants []string
	// TenantPattern is a regular expression (RE2, at most 1024 bytes) of further names that this
	// issuer's tokens may name. It has to match the complete name, with or without anchors.
	TenantPattern string
	// AnyTenant lets this issuer's tokens name every tenant, those of all other issuers included. It
	// excludes Tenants and TenantPattern. [Config.Warnings] reports it.
	AnyTenant bool
	// Required makes [Verifier.Ready] fail while this issuer has no usable keys, although another one has.
	Required bool
	// ByGrants is Config.Grants, which puts it into each issuer that it validates.
	ByGrants bool
	// SelectorClaim is the claim that holds a stream selector, which confines the caller further than
	// the tenants; syntax as above. Default: none. Where it is configured, a token without it is
	// rejected: absent must not mean "unconfined".
	SelectorClaim string
}

// name is what the issuer is called in messages, metrics and principals: its URL, or the ID of its trust domain.
func (iss Issuer) name() string {
	if iss.TrustDomain != "" {
		return spiffeScheme + iss.TrustDomain
	}
	return iss.URL
}

// discovers reports whether the keys are found by discovery.
func (iss Issuer) discovers() bool { return iss.JWKSURL == "" && iss.KeysFile == "" }

// keyUse is what the `use` of the issuer's keys has to be.
func (iss Issuer) keyUse() string {
	if iss.TrustDomain != "" {
		return useJWTSVID
	}
	return useSig
}

func (iss Issuer) validate(allowHTTP bool, report reporter) {
	if iss.TrustDomain != "" {
		iss.validateTrustDomain(report)
	} else {
		iss.validateURL(allowHTTP, report)
	}
	iss.validateHeaders(report)
	iss.validateAudience(report)
	iss.validateDirectories(report)
	iss.validateKeys(allowHTTP, report)
	iss.validateCredentials(report)
	iss.validateClaims(report)
}

func (iss Issuer) validateURL(allowHTTP bool, report reporter) {
	switch {
	case iss.URL == "":
		report("URL", "required; write the issuer exactly as the tokens' iss has it, such as https://id.example.com/")
	case hasSpace(iss.URL):
		report("URL", "%q contains spaces or control characters; write the issuer exactly as the tokens' iss has it", iss.URL)
	case iss.discovers() && iss.DiscoveryURL == "":
		if problem := checkKeysURL(iss.URL, allowHTTP); problem != "" {
			report("URL", "%s (or say where the keys are, with a JWKS URL or a keys file)", problem)
		} else if strings.ContainsAny(iss.URL, "?#") {
			report("URL", "%q has a query or fragment, which discovery does not know; write the issuer without", iss.URL)
		}
	}
}

// validateKeys checks where the keys are.
func (iss Issuer) validateKeys(allowHTTP bool, report reporter) {
	if iss.JWKSURL != "" {
		if problem := checkKeysURL(iss.JWKSURL, allowHTTP); problem != "" {
			report("JWKSURL", "%s", problem)
		}
		if iss.KeysFile != "" {
			report("KeysFile", "given beside a JWKS URL; write one of the two")
		}
	}
	if iss.DiscoveryURL != "" {
		if problem := checkKeysURL(iss.DiscoveryURL, allowHTTP); problem != "" {
			report("DiscoveryURL", "%s", problem)
		}
		if !iss.discovers() {
			report("DiscoveryURL", "given beside a JWKS URL or a keys file; write one of them")
		}
	}
	if iss.DiscoveryIssuer != "" && iss.DiscoveryURL == "" {
		report("DiscoveryIssuer", "given without a discovery URL; write both")
	}
}

// validateCredentials checks what the provider is reached with. It opens no file.
func (iss Issuer) validateCredentials(report reporter) {
	if iss.KeysFile != "" {
		for _, f := range []struct{ field, value string }{{"CAFile", iss.CAFile}, {"BearerTokenFile", iss.BearerTokenFile}} {
			if f.value != "" {
				report(f.field, "given beside a keys file, for which nothing is fetched; leave it out")
			}
		}
		return
	}
	if u, err := url.Parse(iss.fetchedFrom()); iss.BearerTokenFile != "" && (err != nil || u.Scheme != "https") {
		report("BearerTokenFile", "would be sent in plain text; the keys need an https URL")
	}
}

// fetchedFrom is the URL that the operator has written for keys or discovery; the bearer token goes to its host alone.
func (iss Issuer) fetchedFrom() string {
	switch {
	case iss.JWKSURL != "":
		return iss.JWKSURL
	case iss.DiscoveryURL != "":
		return iss.DiscoveryURL
	default:
		return iss.URL
	}
}

func (iss Issuer) validateClaims(report reporter) {
	if iss.TenantClaim == "" && !iss.ByGrants {
		report("TenantClaim", "required; write the claim that names the caller's tenants, such as tenant_id")
	} else if _, err := claimpath.Parse(iss.TenantClaim); err != nil && !iss.ByGrants {
		report("TenantClaim", "%s", err)
	}
	if _, err := parseShape(iss.TenantShape); err != nil {
		report("TenantShape", "%s", err)
	}
	iss.validateSource(report)
	if iss.SelectorClaim != "" {
		if _, err := claimpath.Parse(iss.SelectorClaim); err != nil {
			report("SelectorClaim", "%s", err)
		}
	}
}
