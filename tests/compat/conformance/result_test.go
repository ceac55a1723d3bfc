// What came out: counts, names, and whether that is what is known.
package conformance

import (
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

// result counts each conformance spec once.
type result struct {
	chosen selection
	// excluded are the numbers of specs, by reason.
	excluded map[string]int
	total    int
	// applicable are those that are not excluded.
	applicable []string
	passed     map[string]bool
	failed     map[string]string
	took       map[string]time.Duration
	notRun     map[string]string
}

func newResult(specs []string, chosen selection) *result {
	r := &result{
		chosen: chosen, total: len(specs), excluded: map[string]int{},
		passed: map[string]bool{}, failed: map[string]string{}, took: map[string]time.Duration{}, notRun: map[string]string{},
	}
	for _, spec := range specs {
		if g := find(chosen.Excluded, spec); g != nil {
			r.excluded[g.Reason]++
		} else {
			r.applicable = append(r.applicable, spec)
		}
	}
	sort.Strings(r.applicable)
	return r
}

func (r *result) add(reports types.SpecReports) {
	known := map[string]bool{}
	for _, spec := range r.applicable {
		known[spec] = true
	}
	for _, report := range reports {
		name := report.FullText()
		if !known[name] {
			continue
		}
		r.took[name] = report.RunTime
		switch {
		case report.State.Is(types.SpecStatePassed):
			r.passed[name] = true
		case report.State.Is(types.SpecStateFailureStates):
			message, _, _ := strings.Cut(strings.TrimSpace(report.FailureMessage()), "\n")
			r.failed[name] = message
		case report.State.Is(types.SpecStateSkipped) && report.Failure.Message != "":
			// The spec itself said that it does not apply here.
			r.notRun[name] = report.Failure.Message
		}
	}
}

// faults is empty if exactly the specs failed that are known to. `partly` when not all were to be run.
func (r *result) faults(partly bool) []string {
	var faults []string
	for _, spec := range r.applicable {
		known := find(r.chosen.Failing, spec)
		_, failed := r.failed[spec]
		switch {
		case failed && known == nil:
			faults = append(faults, "failed: "+spec)
		case r.passed[spec] && known != nil:
			faults = append(faults, "passes now: "+spec)
		case r.notRun[spec] != "":
			faults = append(faults, "did not want to run: "+spec+": "+r.notRun[spec])
		case !failed && !r.passed[spec] && !partly:
			faults = append(faults, "was not run: "+spec)
		}
	}
	return faults
}

func (r *result) headline() string {
	excluded := r.total - len(r.applicable)
	return fmt.Sprintf("%d of %d applicable specs passed, %d failed; %d of all %d are excluded",
		len(r.passed), len(r.applicable), len(r.failed), excluded, r.total)
}

// text is for a terminal.
func (r *result) text() string {
	var out strings.Builder
	for _, spec := range r.applicable {
		if message, failed := r.failed[spec]; failed {
			fmt.Fprintf(&out, "failed: %s\n        %s\n", spec, message)
			if known := find(r.chosen.Failing, spec); known != nil {
				fmt.Fprintf(&out, "        known: %s\n", known.Reason)
			}
		}
	}
	for _, spec := range r.slowest(5) {
		fmt.Fprintf(&out, "slow: %5.1f s %s\n", r.took[spec].Seconds(), spec)
	}
	return out.String() + "conformance, " + *cluster + " cluster: " + r.headline()
}

func (r *result) slowest(number int) []string {
	specs := append([]string(nil), r.applicable...)
	sort.SliceStable(specs, func(i, j int) bool { return r.took[specs[i]] > r.took[specs[j]] })
	return specs[:min(number, len(specs))]
}

// markdown is for the documentation.
func (r *result) markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s.\n\n| excluded | why |\n| ---: | --- |\n", r.headline())
	for _, g := range r.chosen.Excluded {
		fmt.Fprintf(&out, "| %d | %s |\n", r.excluded[g.Reason], g.Reason)
	}
	if len(r.failed) > 0 {
		out.WriteString("\n| fails | why |\n| --- | --- |\n")
		for _, spec := range r.applicable {
			if _, failed := r.failed[spec]; failed {
				reason := "not known yet"
				if known := find(r.chosen.Failing, spec); known != nil {
					reason = known.Reason
				}
				fmt.Fprintf(&out, "| %s | %s |\n", strings.TrimSuffix(spec, " [Conformance]"), reason)
			}
		}
	}
	return out.String()
}

func TestOnlyWhatIsKnownToFailMayFail(t *testing.T) {
	chosen, err := parseSelection([]byte("excluded: [{reason: no, specs: [a]}]\nfailing: [{reason: so, specs: [b]}]"), "real")
	if err != nil {
		t.Fatal(err)
	}
	r := newResult([]string{"a", "b", "c"}, chosen)
	r.passed["c"], r.failed["b"] = true, "broken"
	if faults := r.faults(false); len(faults) > 0 {
		t.Error(faults)
	}
	if got, want := r.headline(), "1 of 2 applicable specs passed, 1 failed; 1 of all 3 are excluded"; got != want {
		t.Error(got)
	}
	r.passed["b"], r.passed["c"] = true, false
	delete(r.failed, "b")
	if faults := r.faults(false); len(faults) != 2 {
		t.Error(faults)
	}
	if faults := r.faults(true); len(faults) != 1 {
		t.Error(faults)
	}
}
