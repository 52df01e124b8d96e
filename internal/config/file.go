package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/refresh"
)

// maxFile is the largest settings file read. It is there for the slip of naming another file.
const maxFile = 1 << 20

// issuersKey is the one key of the file that is not a variable.
const issuersKey = "issuers"

// fileIssuer is an issuer of the file's list.
type fileIssuer struct {
	auth.Issuer
	line int // where it begins
}

// issuerKey is a key of an issuer in the file's list, and the field it fills.
type issuerKey struct {
	key, field string
	kind       kind
	meaning    string // for the chart's schema
	target     func(*auth.Issuer) any
}

var issuerKeys = []issuerKey{
	{"issuer", "URL", kindText, "the tokens' `iss`", func(i *auth.Issuer) any { return &i.URL }},
	{"trust_domain", "TrustDomain", kindText, "a trust domain of SPIFFE, in place of `issuer`: tokens without `iss`", func(i *auth.Issuer) any { return &i.TrustDomain }},
	{"directories", "Directories", kindList, "directories of Entra ID whose tokens are accepted, where `issuer` has `{tenantid}`", func(i *auth.Issuer) any { return &i.Directories }},
	{"audience", "Audiences", kindList, "values of the tokens' `aud`, one of which each must have", func(i *auth.Issuer) any { return &i.Audiences }},
	{"client_ids", "ClientIDs", kindList, "values of `client_id` of Amazon Cognito's access tokens, which have no `aud`", func(i *auth.Issuer) any { return &i.ClientIDs }},
	{"headers", "Headers", kindList, "headers that its tokens may come in; without it those of `LOGFENCE_TOKEN_HEADERS`", func(i *auth.Issuer) any { return &i.Headers }},
	{"ambient", "Ambient", kindSwitch, "a proxy fills the headers from a cookie: requests of other sites are refused", func(i *auth.Issuer) any { return &i.Ambient }},
	{"discovery_url", "DiscoveryURL", kindURL, "the discovery document, if the issuer does not lead to it", func(i *auth.Issuer) any { return &i.DiscoveryURL }},
	{"discovery_issuer", "DiscoveryIssuer", kindText, "the `issuer` of the document at `discovery_url`, if another one", func(i *auth.Issuer) any { return &i.DiscoveryIssuer }},
	{"jwks_url", "JWKSURL", kindURL, "URL of its keys", func(i *auth.Issuer) any { return &i.JWKSURL }},
	{"keys_file", "KeysFile", kindFile, "file of its public keys, PEM or JWKS", func(i *auth.Issuer) any { return &i.KeysFile }},
	{"ca_file", "CAFile", kindFile, "CA certificates (PEM file) used to verify the provider, instead of the system's", func(i *auth.Issuer) any { return &i.CAFile }},
	{"bearer_token_file", "BearerTokenFile", kindFile, "file of the bearer token with which the keys are fetched", func(i *auth.Issuer) any { return &i.BearerTokenFile }},
	{"tenant_claim", "TenantClaim", kindText, "the claim that names the tenants", func(i *auth.Issuer) any { return &i.TenantClaim }},
	{"tenant_shape", "TenantShape", kindText, "the form of the tenant claim, if it is neither a string nor an array of strings", func(i *auth.Issuer) any { return &i.TenantShape }},
	{"required_claims", "RequiredClaims", kindList, "claims that every token must have, each as `claim=value`", func(i *auth.Issuer) any { return &i.RequiredClaims }},
	{
		"dangerously_user_controlled_claim", "DangerouslyUserControlledClaim", kindSwitch, "accept a tenant claim that each user can edit",
		func(i *auth.Issuer) any { return &i.DangerouslyUserControlledClaim },
	},
	{"tenants", "Tenants", kindList, "the tenants that its tokens may name", func(i *auth.Issuer) any { return &i.Tenants }},
	{
		"tenant_pattern", "TenantPattern", kindText, "a regular expression (RE2, matches the complete name) of further tenants that its tokens may name",
		func(i *auth.Issuer) any { return &i.TenantPattern },
	},
	{"any_tenant", "AnyTenant", kindSwitch, "its tokens may name every tenant, those of all other issuers included", func(i *auth.Issuer) any { return &i.AnyTenant }},
	{"required", "Required", kindSwitch, "`/readyz` fails without its keys, although another issuer has keys", func(i *auth.Issuer) any { return &i.Required }},
	{"selector_claim", "SelectorClaim", kindText, "claim with a stream selector that confines the caller further", func(i *auth.Issuer) any { return &i.SelectorClaim }},
}

// setting is the key as a setting of the issuer.
func (k issuerKey) setting(i *auth.Issuer) *setting {
	return &setting{name: k.key, kind: k.kind, target: func(*loader) any { return k.target(i) }}
}

// shown is the key's value without what may be a secret in it; empty: not set.
func (k issuerKey) shown(i auth.Issuer) string {
	s := k.setting(&i)
	switch v := k.target(&i).(type) {
	case *string:
		return s.shown(text{value: *v})
	case *[]string:
		return s.shown(text{list: *v})
	case *bool:
		if *v {
			return "true"
		}
		return ""
	default:
		panic(fmt.Sprintf("config: %s is read into a %T", k.key, v))
	}
}

// readFile reads the settings in the file, if one is named. It walks the syntax tree instead of
// filling a struct: the text counts as it was written (1e3 is a fine X-Scope-OrgID and not a number),
// and each mistake has its line. What YAML offers beyond plain keys and values is refused.
func (d *loader) readFile(file string) map[string]text {
	given := map[string]text{}
	if file == "" {
		return given
	}
	content, err := readBounded(file, maxFile)
	if err != nil {
		d.bad.add(origin{file: file}, "", err.Error())
		return given
	}
	d.readTree(file, content, func(key string, value ast.Node, at func(ast.Node) origin) {
		if key == issuersKey {
			d.readIssuers(value, at)
			return
		}
		if find(key) == nil {
			d.bad.add(at(value), key, "unknown key"+meantKey(key))
			return
		}
		if t, ok := d.readValue(key, value, at); ok {
			given[key] = t
		}
	})
	return given
}

// readTree calls each with the keys and values of a file.
func (d *loader) readTree(file string, content []byte, each func(key string, value ast.Node, at func(ast.Node) origin)) {
	tree, err := parser.ParseBytes(content, 0)
	if err != nil {
		d.bad.add(syntaxError(file, err))
		return
	}
	at := func(n ast.Node) origin { return origin{file: file, line: n.GetToken().Position.Line} }
	for i, doc := range tree.Docs {
		if i > 0 && doc.Body != nil {
			d.bad.add(at(doc.Body), "", "a second YAML document; write one")
			continue
		}
		d.readMapping(doc.Body, at, "", func(key string, value ast.Node) { each(key, value, at) })
	}
}

// readBounded reads a file of the operator's. Its error does not name the file, which the heading does.
func readBounded(file string, most int64) ([]byte, error) {
	content, err := refresh.ReadFile(file, most)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", withoutPath(err))
	}
	return content, nil
}

// withoutPath is the error without the file's name, which the heading has.
func withoutPath(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// syntaxError is the library's message without the excerpt of the file that it adds: a secret may
// stand in the next line.
func syntaxError(file string, err error) (origin, string, string) {
	o := origin{file: file}
	message := "not YAML that can be read"
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		message = "not YAML: " + syntax.GetMessage()
		if t := syntax.GetToken(); t != nil && t.Position != nil {
			o.line = t.Position.Line
		}
	}
	return o, "", message
}

// readMapping calls each with the keys and values of a mapping.
func (d *loader) readMapping(n ast.Node, at func(ast.Node) origin, path string, each func(key string, value ast.Node)) {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case nil:
		return // an empty file, or one of comments
	case *ast.CommentGroupNode:
		return
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		example := d.example
		if example == "" {
			example = "LOGFENCE_LOKI_URL: http://loki:3100"
		}
		d.bad.add(at(n), strings.TrimSuffix(path, "."), fmt.Sprintf("not keys and values; write lines like %q", example))
		return
	}
	seen := map[string]bool{}
	for _, pair := range pairs {
		key, ok := scalar(pair.Key)
		switch {
		case !ok:
			d.bad.add(at(pair.Key), pair.Key.String(), "not a plain key; anchors, merges and tags are not read")
		case seen[key]:
			d.bad.add(at(pair.Key), path+key, "given twice; write it once")
		default:
			seen[key] = true
			each(key, pair.Value)
		}
	}
}

// readValue is a setting's text, or the items of its list.
func (d *loader) readValue(name string, n ast.Node, at func(ast.Node) origin) (text, bool) {
	t := text{origin: at(n)}
	if list, ok := n.(*ast.SequenceNode); ok {
		t.list = []string{}
		for _, item := range list.Values {
			value, ok := scalar(item)
			if !ok {
				d.bad.add(at(item), name, "has an item that is not plain text; write a list of texts")
				return text{}, false
			}
			t.list = append(t.list, value)
		}
		return t, true
	}
	value, ok := scalar(n)
	switch {
	case !ok:
		d.bad.add(t.origin, name, "not a plain value; write one value, in quotes if YAML would read more into it")
		return text{}, false
	case value == "":
		d.bad.add(t.origin, name, "empty; write a value, or leave the key out")
		return text{}, false
	}
	t.value = value
	return t, true
}

// scalar is a node's text as it was written, null being no text.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.NullNode:
		return "", true
	default:
		return "", false
	}
}

// readIssuers reads the list of issuers. Package auth validates their values.
func (d *loader) readIssuers(n ast.Node, at func(ast.Node) origin) {
	d.issuers = []fileIssuer{}
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		d.bad.add(at(n), issuersKey, "not a list; write \"- issuer: https://id.example.com\" and below it audience: and the others")
		return
	}
	for i, item := range list.Values {
		d.issuers = append(d.issuers, d.readIssuer(fmt.Sprintf("%s[%d].", issuersKey, i), item, at))
	}
}

func (d *loader) readIssuer(path string, n ast.Node, at func(ast.Node) origin) fileIssuer {
	issuer := fileIssuer{line: at(n).line}
	d.readMapping(n, at, path, func(key string, value ast.Node) {
		i := slices.IndexFunc(issuerKeys, func(k issuerKey) bool { return k.key == key })
		if i < 0 {
			d.bad.add(at(value), path+key, "unknown key"+nearest(key, issuerKeyNames()))
			return
		}
		t, ok := d.readValue(path+key, value, at)
		if !ok {
			return
		}
		if problem := issuerKeys[i].setting(&issuer.Issuer).set(d, t); problem != "" {
			d.bad.add(t.origin, path+key, problem)
		}
	})
	return issuer
}

func issuerKeyNames() []string {
	keys := make([]string, 0, len(issuerKeys))
	for _, k := range issuerKeys {
		keys = append(keys, k.key)
	}
	return keys
}

// meantKey suggests a key of the file: a variable, or the list of issuers.
func meantKey(key string) string {
	if distance(strings.ToLower(key), issuersKey) <= 2 {
		return fmt.Sprintf("; did you mean %q?", issuersKey)
	}
	return didYouMean(key)
}
