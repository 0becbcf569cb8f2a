package device

import "strings"

// Environment are names of variables that may be set on a device; one that ends in * is
// all that begin so.
type Environment []string

// usualEnvironment says how text is written, and nothing else.
func usualEnvironment() Environment { return Environment{"LANG", "LC_*", "TZ", "COLORTERM"} }

// Passes reports whether a service may be told of a variable of this name.
func (d *Devices) Passes(asset, service, variable string) bool {
	return d.at(asset, service).Environment.has(variable)
}

func (e Environment) has(variable string) bool {
	if e == nil {
		e = usualEnvironment()
	}
	for _, one := range e {
		if begin, all := strings.CutSuffix(one, "*"); variable == one || all && strings.HasPrefix(variable, begin) {
			return true
		}
	}
	return false
}

// valid reports whether all are names, and none is every name or one that decides which
// programs a device runs.
func (e Environment) valid() bool {
	for _, one := range e {
		begin := strings.TrimSuffix(one, "*")
		bad := strings.ContainsFunc(begin, func(r rune) bool {
			return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		})
		if begin == "" || bad || len(e) > maxVariables {
			return false
		}
		for _, runs := range []string{"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PATH", "ENV", "BASH_ENV", "IFS", "SHELLOPTS", "PYTHONPATH", "PERL5LIB"} {
			if (Environment{one}).has(runs) {
				return false
			}
		}
	}
	return true
}
