package main

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// terms is the state of a lease as its leaders see it.
type terms struct {
	current uint64 // the token of the term that lasts, 0 if none does
	newest  uint64 // the largest token so far
}

// termModel: one term at a time, each with a larger token than all before it, and only the leader of the term that lasts is told that
// it leads (guarantees G1 and G3).
var termModel = porcupine.Model{
	Init: func() interface{} { return terms{} },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		before, operation := state.(terms), input.(Operation)
		switch token := operation.Token; operation.Do {
		case "begin":
			return before.current == 0 && token > before.newest, terms{token, token}
		case "lead":
			return before.current == token, before
		case "end":
			return before.current == token, terms{0, before.newest}
		default:
			return false, before
		}
	},
	DescribeOperation: func(input, _ interface{}) string {
		operation := input.(Operation)
		switch operation.Do {
		case "begin":
			return fmt.Sprintf("term %d begins", operation.Token)
		case "lead":
			return fmt.Sprintf("leads in term %d", operation.Token)
		default:
			return fmt.Sprintf("term %d ends", operation.Token)
		}
	},
	DescribeState: func(state interface{}) string {
		if state.(terms).current == 0 {
			return fmt.Sprintf("no leader, %d was the last term", state.(terms).newest)
		}
		return fmt.Sprintf("term %d", state.(terms).current)
	},
}
