using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// The size of the pieces in which blocked attention computes: it changes the order of sums, and so the last bits of
/// results. On a CPU the scores of a piece, with their copies, stay in a last-level cache; on a GPU pieces are large, so
/// that launching them costs little.
/// </summary>
/// <param name="MostRows">The most queries of one head in a piece.</param>
/// <param name="Scores">Float32 scores of a piece; few rows may exceed it where there are very many keys.</param>
public sealed record BlockSize(int MostRows, long Scores)
{
    private const int FewestProductRows = 64; // below, products with the keys get slow
    private const int RowStep = 16;

    /// <summary>The size for a device.</summary>
    public static BlockSize For(Device device) => For(onGpu: device.type != DeviceType.CPU);

    /// <summary>The size for a kind of device.</summary>
    public static BlockSize For(bool onGpu) => onGpu ? new(512, 32 << 20) : new(256, 2 << 20);

    /// <summary>Queries of a piece that follow so many visible keys, with <paramref name="group"/> query heads to a key/value head.</summary>
    public int Rows(int group, int keysBefore)
    {
        var fit = Scores / group / (keysBefore + RowStep);
        return (int)Math.Clamp(fit / RowStep * RowStep, Math.Min(MostRows, Math.Max(RowStep, FewestProductRows / group)), MostRows);
    }

    /// <summary>Keys that fit into a piece of so many queries, with <paramref name="group"/> query heads to a key/value head.</summary>
    public int Keys(int group, int rows) => (int)Math.Max(Scores / group / rows, FewestProductRows);

    /// <summary>Key/value heads that fit into a piece, of <paramref name="all"/>.</summary>
    /// <param name="scoresOfOne">Scores of one key/value head: its query heads, times the rows, times the keys.</param>
    /// <param name="all">Key/value heads of the whole batch.</param>
    public long Heads(long scoresOfOne, long all) => Math.Clamp(Scores / scoresOfOne, 1, all);

    /// <inheritdoc/>
    public override string ToString() => $"{MostRows} rows, {Scores} scores";
}
