package gateway

import "runtime/debug"

// syntaxModule holds the LogQL parser that is linked in: what it takes is what logfence takes.
const syntaxModule = "github.com/grafana/loki/v3"

// Build is what this binary was made of; what is not known is "unknown".
type Build struct {
	Version  string
	Revision string // of the source, with "(modified)" if it was
	Go       string
	LogQL    string // the version of Loki whose LogQL it takes
}

// ReadBuild reads the build of the running binary.
func ReadBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildOf(info)
}

func buildOf(info *debug.BuildInfo) Build {
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	b := Build{Version: known(info.Main.Version), Revision: known(setting["vcs.revision"]), Go: known(info.GoVersion), LogQL: known("")}
	if setting["vcs.modified"] == "true" {
		b.Revision += " (modified)"
	}
	for _, m := range info.Deps {
		if m.Path == syntaxModule {
			b.LogQL = m.Version
		}
	}
	return b
}

func known(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
