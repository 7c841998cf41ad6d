"""OpenAI's chat completions and legacy completions, both ways, sans-IO."""
