using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace CutoffLen.Positions;

/// <summary>
/// The evidence, printed and logged by every run, that a position method is in force: a hash of everything attention gets to
/// know of positions, and whether that differs from vanilla RoPE.
/// </summary>
/// <param name="Spec">The resolved spec.</param>
/// <param name="Hash">First 16 hex digits of SHA-256 over tables, ranges and biases.</param>
/// <param name="VanillaHash">The same for vanilla RoPE at the same positions.</param>
public sealed record PositionProof(string Spec, string Hash, string VanillaHash)
{
    /// <summary>Whether scores must come out otherwise than vanilla RoPE's.</summary>
    public bool DiffersFromVanilla => Hash != VanillaHash;

    /// <summary>The proof for a row of positions.</summary>
    public static PositionProof Of(PositionSpec spec, PositionModel model, int? targetLength, TokenPositions positions)
    {
        var resolved = PositionMethods.Resolve(spec, model, targetLength);
        return new PositionProof(
            resolved.ToString(),
            HashOf(PositionMethods.Create(resolved, model, targetLength).Bands(positions)),
            HashOf(new RopeMethod(model).Bands(positions)));
    }

    /// <summary>
    /// Fails when the model's answers contradict the tables: <paramref name="largestLogitDifference"/> is the largest difference
    /// from vanilla RoPE's logits on a probe at the same positions.
    /// </summary>
    /// <exception cref="InvalidOperationException">Tables differ but no logit does, or the other way round.</exception>
    public void Check(double largestLogitDifference)
    {
        if (DiffersFromVanilla != (largestLogitDifference != 0))
        {
            throw new InvalidOperationException(DiffersFromVanilla
                ? $"the position method '{Spec}' should change the model's answers and does not: it was not applied"
                : $"the position method '{Spec}' equals vanilla RoPE here, but the model's answers differ by {largestLogitDifference}");
        }
    }

    /// <summary>First 16 hex digits of SHA-256 over every table, range and bias of the bands.</summary>
    public static string HashOf(IReadOnlyList<Band> bands)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var band in bands)
        {
            Append(hash, band.Queries);
            Append(hash, band.Keys);
            Append<int>(hash, band.First);
            Append<int>(hash, band.Last);
            Append<double>(hash, band.BiasSlopes ?? []);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset())[..16];
    }

    private static void Append(IncrementalHash hash, PositionEncoding encoding)
    {
        switch (encoding)
        {
            case Rotation rotation:
                Append<float>(hash, rotation.Cos);
                Append<float>(hash, rotation.Sin);
                break;

            case Reordering reordering:
                Append<int>(hash, reordering.Index);
                Append<float>(hash, reordering.Scale ?? []);
                break;
        }

        // Keeps an empty table apart from none.
        Append<byte>(hash, [(byte)(encoding switch { Rotation => 1, Reordering => 2, _ => 0 })]);
    }

    private static void Append<T>(IncrementalHash hash, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        hash.AppendData(BitConverter.GetBytes((long)values.Length));
        hash.AppendData(MemoryMarshal.AsBytes(values));
    }
}
