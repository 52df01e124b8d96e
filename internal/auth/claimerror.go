package auth

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/logfence/logfence/internal/tenant"
)

// ClaimError is what is wrong with the tenant claim of a verified token. Its text names the claim's shape and no value of
// it, so that the token's holder may read it: nothing of the configuration or of other tenants is in it.
type ClaimError struct{ problem string }

func (e *ClaimError) Error() string { return "the tenant claim " + e.problem }

func claimError(format string, args ...any) error {
	return &ClaimError{problem: fmt.Sprintf(format, args...)}
}

// errClaimNull is the error of a claim without a value.
var errClaimNull = claimError("is absent or null")

// countError is the error of a claim that names no tenant, or too many.
func countError(n int) error {
	return claimError("holds %d names; 1 to %d are accepted", n, tenant.MaxNames)
}

// nameError says why a value of the claim is not a name of a tenant, for the slips that providers' defaults lead to.
func nameError(value any) error {
	text, ok := value.(string)
	switch {
	case !ok:
		return claimError("has %s in the place of a name, which is text", jsonType(value))
	case text == "":
		return claimError("has an empty name")
	case strings.HasPrefix(text, "/"):
		return claimError("has a name that begins with a slash, as the paths of groups do")
	case strings.Contains(text, ","):
		return claimError("has a name with a comma; several names are a list, not one text with commas")
	case strings.ContainsAny(text, " \t\r\n"):
		return claimError("has a name with a space; several names are a list, not one text with spaces")
	case len(text) > tenant.MaxBytes:
		return claimError("has a name of %d bytes; a name is %s", len(text), tenant.Grammar)
	default:
		return claimError("has a name with a character that is not accepted; a name is %s", tenant.Grammar)
	}
}

// typeError is the error of a claim of another type than is read.
func typeError(claim any, want string) error {
	return claimError("is %s, and not %s", jsonType(claim), want)
}

// jsonType names the type of a decoded JSON value.
func jsonType(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "text"
	case bool:
		return "true or false"
	case json.Number, float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return "something else"
	}
}
