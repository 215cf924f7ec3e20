"""The command line: arguments → one public call → report → exit code. One file for each verb."""
