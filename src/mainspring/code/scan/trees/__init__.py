"""Rules for JavaScript, TypeScript, Go, Rust, Java, C and C++: one small engine over syntax trees, rules as tables."""
