package config

import (
	"fmt"
	"strings"
)

// Help is the table of settings for a terminal: each variable with its default, and below it what it means.
func Help() string {
	var b strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&b, "  %s (%s)\n        %s\n", s.Name(), s.defaults(), s.sentence(strings.NewReplacer("`", "")))
	}
	return b.String()
}

// Markdown is the same table for docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n| --- | --- | --- |\n")
	for _, s := range settings {
		fallback := "–"
		switch {
		case s.fallback != "":
			fallback = "`" + s.fallback + "`"
		case s.required != "":
			fallback = s.required
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Name(), fallback, strings.ReplaceAll(s.sentence(strings.NewReplacer()), "|", "\\|"))
	}
	return b.String()
}

func (s *setting) defaults() string {
	switch {
	case s.required != "":
		return s.required
	case s.fallback != "":
		return "default " + s.fallback
	default:
		return "not set"
	}
}

// sentence is the meaning with the unit, where the value has one.
func (s *setting) sentence(clean *strings.Replacer) string {
	meaning := s.meaning
	if s.perTenant != "" {
		meaning += "; a tenant's own: `" + s.perTenant + "`"
	}
	meaning = clean.Replace(meaning)
	switch s.kind {
	case kindDuration:
		return meaning + " (duration)"
	case kindSize:
		return meaning + " (size)"
	case kindSwitch, kindLevel, kindFormat:
		return meaning + " (" + string(s.kind) + ")"
	case kindList, kindURLs:
		return meaning + " (comma-separated)"
	default:
		return meaning
	}
}
