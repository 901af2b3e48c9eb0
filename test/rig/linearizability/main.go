// Checks whether a history is linearizable, with porcupine (github.com/anishathalye/porcupine).
//
// usage: linearizability [--html FILE] term|register HISTORY
//
// HISTORY is a file with a JSON array of operations. The verdict is printed: Ok, Illegal, or Unknown after two minutes. --html draws what is
// illegal.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

// Operation is one of a history. Its effect took place at one instant between Call and Return, both included.
type Operation struct {
	Client   int    `json:"client"`
	Call     int64  `json:"call"`
	Return   *int64 `json:"return"` // missing if the process has not lived to see it: the operation may have had its effect
	Do       string `json:"do"`
	Token    uint64 `json:"token"`
	Value    string `json:"value"` // what was written or read
	Refused  bool   `json:"refused"`
	Register string `json:"register"`
}

const patience = 2 * time.Minute

func main() {
	html := flag.String("html", "", "draw an illegal history into this file")
	flag.Parse()
	verdict, err := check(flag.Arg(0), flag.Arg(1), *html)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(verdict)
}

func check(name, path, html string) (porcupine.CheckResult, error) {
	model, known := map[string]porcupine.Model{"term": termModel, "register": registerModel}[name]
	if !known {
		return "", fmt.Errorf("'%s' is no model: it must be term or register", name)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var history []Operation
	if err := json.Unmarshal(text, &history); err != nil {
		return "", fmt.Errorf("%s is not a history: %w", path, err)
	}
	for _, part := range byRegister(history) {
		operations := forPorcupine(part)
		verdict := porcupine.CheckOperationsTimeout(model, operations, patience)
		if verdict == porcupine.Illegal && html != "" {
			_, info := porcupine.CheckOperationsVerbose(model, operations, patience)
			return verdict, porcupine.VisualizePath(model, info, html)
		}
		if verdict != porcupine.Ok {
			return verdict, nil
		}
	}
	return porcupine.Ok, nil
}

// byRegister: a history is linearizable if that of each register is.
func byRegister(history []Operation) [][]Operation {
	var parts [][]Operation
	index := map[string]int{}
	for _, operation := range history {
		if _, known := index[operation.Register]; !known {
			index[operation.Register] = len(parts)
			parts = append(parts, nil)
		}
		part := index[operation.Register]
		parts[part] = append(parts[part], operation)
	}
	return parts
}

func forPorcupine(history []Operation) []porcupine.Operation {
	var end int64
	for _, operation := range history {
		end = max(end, operation.Call+1)
		if operation.Return != nil {
			end = max(end, *operation.Return+1)
		}
	}
	operations := make([]porcupine.Operation, 0, len(history))
	for _, operation := range history {
		until := end
		if operation.Return != nil {
			until = *operation.Return
		}
		operations = append(operations, porcupine.Operation{
			ClientId: operation.Client, Input: operation, Call: operation.Call, Return: until,
		})
	}
	return operations
}
