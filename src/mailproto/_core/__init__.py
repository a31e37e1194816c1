"""What every machine is made of: framing, output, limits, signals. Private; knows no protocol."""
