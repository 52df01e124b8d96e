package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/telemetry"
)

// setting is one row of the table.
type setting struct {
	name     string // without the prefix
	kind     kind
	fallback string // the default, as an operator would write it; empty: none
	required string // when the setting is required; shown instead of a default
	meaning  string // one line: what it does, and what to know before changing it
	target   func(*loader) any
	// field is where the packages' own Validate finds it, as it names the field.
	field string
	// protects is set where leaving the setting out turns off a check, encryption or a record: an empty variable is then a mistake.
	protects bool
	// perTenant is the key by which the file of tenants' limits overrides it; empty: it holds for all.
	perTenant string
}

// Name is the setting's variable, which is its key in the file, too.
func (s *setting) Name() string { return Prefix + s.name }

// kind is what a setting's value looks like.
type kind string

const (
	kindText     kind = "text"
	kindLabel    kind = "label name"
	kindURL      kind = "URL"
	kindURLs     kind = "URLs"
	kindAddress  kind = "host:port"
	kindFile     kind = "file"
	kindDuration kind = "duration"
	kindSize     kind = "size"
	kindNumber   kind = "number"
	kindSwitch   kind = "true or false"
	kindList     kind = "list"
	kindLevel    kind = "debug, info, warn, error"
	kindFormat   kind = "json, text"
	kindSink     kind = "off, stderr or file"
	kindQueries  kind = "text, hash"
	kindLogged   kind = "text, hash, off"
	kindNetworks kind = "list of networks"
)

// notSettings are variables with our prefix that other commands read.
var notSettings = map[string]bool{
	Prefix + "DEMO_LOKI": true, // package demo: the Loki to start instead of building one
}

// find is the setting with the variable's name, or nil.
func find(name string) *setting {
	for i := range settings {
		if settings[i].Name() == name {
			return &settings[i]
		}
	}
	return nil
}

// set reads the text into the loader, and returns what is wrong with it otherwise.
func (s *setting) set(d *loader, t text) (problem string) {
	switch {
	case t.list == nil, s.kind == kindList, s.kind == kindNetworks:
	case s.kind == kindURLs:
		t.value = t.joined()
	default:
		return "a list; write one value"
	}
	switch into := s.target(d).(type) {
	case *time.Duration:
		*into, problem = readDuration(t.value)
	case *int:
		if s.kind == kindSize {
			*into, problem = readSize(t.value)
		} else {
			*into, problem = readNumber(t.value)
		}
	case *int64:
		*into, problem = readLargeSize(t.value)
	case *bool:
		*into, problem = readSwitch(t.value)
	case *[]string:
		*into, problem = readList(t)
	case *slog.Level:
		*into, problem = readLevel(t.value)
	case *telemetry.Format:
		if err := into.UnmarshalText([]byte(t.value)); err != nil {
			problem = err.Error()
		}
	case *audit.Queries:
		if err := into.UnmarshalText([]byte(t.value)); err != nil {
			problem = err.Error()
		}
	case *telemetry.LogQueries:
		if err := into.UnmarshalText([]byte(t.value)); err != nil {
			problem = err.Error()
		}
	case *audit.TrustedProxies:
		*into, problem = readNetworks(t)
	case *string:
		*into, problem = readText(t.value)
	default:
		panic(fmt.Sprintf("config: %s is read into a %T", s.name, into))
	}
	return problem
}

// shown is the setting's text without what may be a secret in it.
func (s *setting) shown(t text) string {
	if s.kind != kindURL && s.kind != kindURLs {
		return t.joined()
	}
	var shown []string
	for _, item := range s.urls(t.joined()) {
		shown = append(shown, ShownURL(item))
	}
	return strings.Join(shown, ",")
}

// urls takes a value apart where there may be several.
func (s *setting) urls(value string) []string {
	if s.kind != kindURLs {
		return []string{value}
	}
	items := strings.Split(value, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// ShownURL is a URL without what may be a secret in it.
func ShownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(not a URL)"
	}
	if u.User != nil {
		u.User = url.User("xxxxx") // not only the password: some put a token in the user's place
	}
	if u.RawQuery != "" {
		u.RawQuery = "xxxxx"
	}
	if _, host, ok := strings.Cut(u.Opaque, "@"); ok { // user:password@host, where the scheme was forgotten
		return "xxxxx@" + host
	}
	return u.String()
}

// hide takes out of a sentence about a URL what may be a secret in the URL: the packages show what
// they read, and where a token is in the query they cannot know.
func (s *setting) hide(problem, value string) string {
	if s.kind != kindURL && s.kind != kindURLs {
		return problem
	}
	for _, item := range s.urls(value) {
		u, err := url.Parse(item)
		if err != nil {
			continue
		}
		for _, part := range []string{u.RawQuery, u.User.String()} {
			if part != "" {
				problem = strings.ReplaceAll(problem, part, "xxxxx")
			}
		}
	}
	return problem
}

// names are the variables, for whom to suggest one.
func names() []string {
	all := make([]string, 0, len(settings))
	for _, s := range settings {
		all = append(all, s.Name())
	}
	return slices.Clip(all)
}
