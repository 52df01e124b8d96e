package auth

import (
	"errors"
	"fmt"
)

// Ready returns nil while tokens can be verified: at least one issuer, and each that the configuration
// requires, has keys that are not too stale. One issuer that is gone must not take the others' callers with
// it. Its error names the issuers without usable keys and how the last fetch of each ended, and holds no secrets.
func (v *Verifier) Ready() error {
	usable := 0
	for _, iss := range v.order {
		_, err := iss.keys.usableKeys()
		if err == nil {
			usable++
		} else if iss.essential {
			return v.Unusable()
		}
	}
	if usable == 0 {
		return v.Unusable()
	}
	return nil
}

// Unusable returns an error that names the issuers whose tokens cannot be verified now, or nil. It is for
// operators and holds no secrets.
func (v *Verifier) Unusable() error {
	var errs []error
	for _, iss := range v.order {
		if err := iss.keys.unusable(); err != nil {
			errs = append(errs, fmt.Errorf("issuer %s: %w", iss.name, err))
		}
	}
	return errors.Join(errs...)
}

// unusable returns why there are no keys to verify with and how the last fetch ended; nil if there are.
func (r *keyring) unusable() error {
	_, err := r.usableKeys()
	if err == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lastErr == nil {
		return err
	}
	return fmt.Errorf("%w; last fetch: %w", err, r.lastErr)
}
