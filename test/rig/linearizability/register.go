package main

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// row is the state of one register.
type row struct {
	token uint64 // the largest that has claimed or saved it
	value string
}

// registerModel: a value that only the newest leader writes. Whoever comes with a smaller token than one before is refused, and nobody
// else is; a read and a claim show what was saved last.
var registerModel = porcupine.Model{
	Init: func() interface{} { return row{} },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		before, operation := state.(row), input.(Operation)
		isUnknown := operation.Return == nil
		if operation.Do == "read" {
			return isUnknown || operation.Value == before.value, before
		}
		if operation.Token < before.token {
			return isUnknown || operation.Refused, before
		}
		// An operation without an outcome that had no effect stands at the end of the history, where nobody sees its effect.
		if operation.Do == "claim" {
			seen := isUnknown || operation.Value == before.value
			return !operation.Refused && seen, row{operation.Token, before.value}
		}
		return !operation.Refused, row{operation.Token, operation.Value}
	},
	DescribeOperation: func(input, _ interface{}) string {
		operation := input.(Operation)
		outcome := "ok"
		switch {
		case operation.Return == nil:
			outcome = "?"
		case operation.Refused:
			outcome = "refused"
		case operation.Do != "save":
			outcome = fmt.Sprintf("'%s'", operation.Value)
		}
		switch operation.Do {
		case "read":
			return fmt.Sprintf("read() → %s", outcome)
		case "claim":
			return fmt.Sprintf("claim(token %d) → %s", operation.Token, outcome)
		default:
			return fmt.Sprintf("save(token %d, '%s') → %s", operation.Token, operation.Value, outcome)
		}
	},
	DescribeState: func(state interface{}) string {
		return fmt.Sprintf("'%s', token %d", state.(row).value, state.(row).token)
	},
}
