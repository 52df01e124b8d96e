package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/logfence/logfence/internal/fielderror"
)

// ValidateFiles reads the files that a valid configuration names, and reports all that cannot be used as
// [fielderror.Error]s joined. It opens no connection.
func (c Config) ValidateFiles() error {
	var errs []error
	for i, iss := range c.Issuers {
		for _, e := range fielderror.All(iss.validateFiles()) {
			errs = append(errs, fielderror.New(fmt.Sprintf("Issuers[%d].%s", i, e.Field), "%w", e.Problem))
		}
	}
	return errors.Join(errs...)
}

func (iss Issuer) validateFiles() error {
	var errs []error
	add := func(field string, err error) {
		if err != nil {
			errs = append(errs, fielderror.New(field, "%w", err))
		}
	}
	if iss.KeysFile != "" {
		_, err := fileSource{path: iss.KeysFile, use: iss.keyUse()}.fetch(context.Background())
		add("KeysFile", err)
	}
	if iss.CAFile != "" {
		_, err := readAuthorities(iss.CAFile)
		add("CAFile", err)
	}
	if iss.BearerTokenFile != "" {
		_, err := readBearer(iss.BearerTokenFile)
		add("BearerTokenFile", err)
	}
	return errors.Join(errs...)
}
