package config

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/logfence/logfence/internal/fielderror"
)

// maxBasePath is more than any portal needs; the path is repeated in every error response.
const maxBasePath = 200

// basePathForm is a path that every proxy, browser and client reads the same way: nothing in it is ever encoded, decoded or
// resolved.
var basePathForm = regexp.MustCompile(`^(?:/[A-Za-z0-9_~-]+)+$`)

func (d *loader) validateBasePath() error {
	if d.BasePath == "" {
		if d.BasePathStripped {
			return fielderror.New("BasePathStripped", "there is no %sBASE_PATH; set it to the path that the proxy removes", Prefix)
		}
		return nil
	}
	if problem := basePathProblem(d.BasePath); problem != "" {
		return fielderror.New("BasePath", "%q %s", d.BasePath, problem)
	}
	return nil
}

// basePathProblem is what is wrong with a base path, and what to write instead; empty: nothing.
func basePathProblem(path string) string {
	switch u, err := url.Parse(path); {
	case basePathForm.MatchString(path) && len(path) <= maxBasePath:
		return ""
	case path == "/":
		return "is the root, where logfence is served without this setting; leave it out"
	case err == nil && u.Scheme != "" && u.Host != "":
		return "is a URL; write its path alone, such as /logs"
	case strings.HasPrefix(path, "//"), strings.Contains(strings.TrimRight(path, "/"), "//"):
		return "has a double slash; write one slash between names, such as /team/logs"
	case strings.Contains(path, "%"):
		return "has an encoded character; write letters, digits, -, _ and ~ alone, such as /logs"
	case strings.Contains(path, "."):
		return "has a dot; write letters, digits, -, _ and ~ alone, such as /logs"
	case strings.ContainsAny(path, "?#"):
		return "has a query or a fragment; write a path alone, such as /logs"
	case strings.HasSuffix(path, "/") && basePathForm.MatchString(strings.TrimRight(path, "/")):
		return "ends with a slash; write it without, such as /logs"
	case !strings.HasPrefix(path, "/") && basePathForm.MatchString("/"+path):
		return "does not begin with a slash; write one in front, such as /logs"
	case len(path) > maxBasePath:
		return "is longer than 200 bytes; write a shorter path, such as /logs"
	default:
		return "has a character that is not allowed; write letters, digits, -, _ and ~ alone, such as /logs"
	}
}
