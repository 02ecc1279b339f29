namespace CutoffLen.Tests;

/// <summary>Reference values under tests/golden, copied beside the test assembly.</summary>
internal static class Golden
{
    /// <summary>The full path of tests/golden/<paramref name="name"/>; a missing file is the test's failure.</summary>
    public static string Path(string name)
    {
        var path = System.IO.Path.Combine(AppContext.BaseDirectory, "golden", name);
        return System.IO.Path.Exists(path) ? path : throw new FileNotFoundException($"no golden file {path}");
    }
}
