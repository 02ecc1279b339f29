namespace CutoffLen.Checkpoints;

/// <summary>Weights as Python's pickle writes them (.bin, .pt, .pth), which are not read.</summary>
internal static class PickledWeights
{
    /// <summary>What to do with them.</summary>
    /// <param name="file">The file that was found.</param>
    /// <param name="python">What converts it to safetensors.</param>
    public static string Advice(string file, string python) =>
        $"It holds pickled weights ({file}), which can run code when opened and are not read. Convert them once, where you trust them: "
        + $"python3 -c \"{python}\"";
}
