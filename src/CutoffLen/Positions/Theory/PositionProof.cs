using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Positions.Theory;

/// <summary>
/// The proof, printed and logged by every run, that a position method is applied: a hash of all tables, ranges and biases
/// that attention uses, and the hash for vanilla RoPE under the same sliding windows.
/// </summary>
/// <param name="Spec">The resolved spec.</param>
/// <param name="Hash">First 16 hex digits of SHA-256 over tables, ranges and biases.</param>
/// <param name="VanillaHash">The same for vanilla RoPE at the same positions.</param>
public sealed record PositionProof(string Spec, string Hash, string VanillaHash)
{
    /// <summary>Whether scores must differ from vanilla RoPE's.</summary>
    public bool DiffersFromVanilla => Hash != VanillaHash;

    /// <summary>The proof for a row of positions.</summary>
    public static PositionProof Of(PositionSetup setup, TokenPositions positions) => new(
        setup.Spec.ToString(), HashOf(setup.Layers, positions), HashOf(setup.Vanilla, positions));

    /// <summary>Fails when tables differ from vanilla RoPE's and the model's answers do not.</summary>
    /// <param name="largestLogitDifference">From vanilla RoPE's logits, on a probe at the same positions.</param>
    /// <exception cref="InvalidOperationException">The method was not applied.</exception>
    public void Check(double largestLogitDifference)
    {
        if (DiffersFromVanilla && largestLogitDifference == 0)
        {
            throw new InvalidOperationException($"the position method '{Spec}' should change the model's answers and does not: it was not applied");
        }
    }

    /// <summary>The hash of the bands where they are equal in all layers; else that of the layers' hashes, in their order.</summary>
    public static string HashOf(LayerPlan layers, TokenPositions positions)
    {
        var hashes = layers.ByLayer(method => HashOf(method.Bands(positions)));
        return hashes.Distinct().Count() == 1 ? hashes[0] : Hex(SHA256.HashData(Encoding.ASCII.GetBytes(string.Join(' ', hashes))));
    }

    /// <summary>
    /// First 16 hex digits of SHA-256 over every table, range and bias of the bands. Bands without pairs are skipped, and
    /// adjacent bands of equal encodings are joined, so that equal attention has equal hashes.
    /// </summary>
    public static string HashOf(IReadOnlyList<Band> bands)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var band in Joined(bands))
        {
            Append(hash, band.Queries);
            Append(hash, band.Keys);
            Append<int>(hash, band.First);
            Append<int>(hash, band.Last);
            Append<double>(hash, band.BiasSlopes ?? []);
        }

        return Hex(hash.GetHashAndReset());
    }

    private static string Hex(byte[] hash) => Convert.ToHexStringLower(hash)[..16];

    private static List<Band> Joined(IReadOnlyList<Band> bands)
    {
        var joined = new List<Band>();
        foreach (var band in bands.Where(band => band.First.Zip(band.Last).Any(row => row.First <= row.Second)))
        {
            // The nearest band comes first, so the next one is to its left.
            if (joined.Count > 0 && joined[^1] is var near && AreEqual(near, band) && band.Last.Zip(near.First).All(row => row.First == row.Second - 1))
            {
                joined[^1] = near with { First = [.. band.First.Zip(near.First, Math.Min)] };
            }
            else
            {
                joined.Add(band);
            }
        }

        return joined;
    }

    private static bool AreEqual(Band one, Band other) =>
        AreEqual(one.Queries, other.Queries) && AreEqual(one.Keys, other.Keys) && (one.BiasSlopes ?? []).SequenceEqual(other.BiasSlopes ?? []);

    private static bool AreEqual(PositionEncoding one, PositionEncoding other) => (one, other) switch
    {
        (Rotation a, Rotation b) => a.Cos.AsSpan().SequenceEqual(b.Cos) && a.Sin.AsSpan().SequenceEqual(b.Sin),
        (Reordering a, Reordering b) => a.Index.AsSpan().SequenceEqual(b.Index) && (a.Scale ?? []).SequenceEqual(b.Scale ?? []),
        (RotationByHead a, RotationByHead b) => AreEqual(a.Chosen, b.Chosen) && AreEqual(a.Others, b.Others) && a.IsChosen.AsSpan().SequenceEqual(b.IsChosen),
        _ => one is Unchanged && other is Unchanged,
    };

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

            case RotationByHead rotation:
                Append(hash, rotation.Chosen);
                Append(hash, rotation.Others);
                Append<bool>(hash, rotation.IsChosen);
                break;
        }

        // The kind distinguishes an empty table from none.
        Append<byte>(hash, [(byte)(encoding switch { Rotation => 1, Reordering => 2, RotationByHead => 3, _ => 0 })]);
    }

    private static void Append<T>(IncrementalHash hash, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        hash.AppendData(BitConverter.GetBytes((long)values.Length));
        hash.AppendData(MemoryMarshal.AsBytes(values));
    }
}
