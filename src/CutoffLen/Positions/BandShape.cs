namespace CutoffLen.Positions;

/// <summary>What the bands of a position method weigh, whatever the length: for planning memory.</summary>
/// <param name="Bands">Bands, each with its own encoding of the queries.</param>
/// <param name="KeyEncodings">Different encodings of the keys; bands may share one.</param>
/// <param name="TableBytesPerToken">Tables on the device, of all bands together.</param>
/// <param name="HostBytesPerToken">What the tables were computed in, and the bands' intervals, in host memory.</param>
public sealed record BandShape(int Bands, int KeyEncodings, long TableBytesPerToken, long HostBytesPerToken)
{
    private const int Sample = 64; // tokens; the number of bands does not depend on the length

    /// <summary>The shape of a method's bands.</summary>
    public static BandShape Of(PositionMethod method)
    {
        var bands = method.Bands(TokenPositions.Sequential(Sample));
        var keys = bands.Select(band => band.Keys).Distinct(ReferenceEqualityComparer.Instance).Cast<PositionEncoding>().ToList();
        var encodings = bands.Select(band => band.Queries).Concat(keys).ToList();
        return new BandShape(
            bands.Count,
            keys.Count,
            encodings.Sum(TableBytes) / Sample,
            (encodings.Distinct(ReferenceEqualityComparer.Instance).Cast<PositionEncoding>().Sum(HostBytes) / Sample) + (bands.Count * 2 * sizeof(int)));
    }

    // Cosine, sine and its negative in float32; or an order, its inverse (both 64 bits) and a scale.
    private static long TableBytes(PositionEncoding encoding) => encoding switch
    {
        Rotation rotation => 3L * sizeof(float) * rotation.Cos.Length,
        Reordering reordering => (2L * sizeof(long) * reordering.Index.Length) + (sizeof(float) * (reordering.Scale?.LongLength ?? 0)),
        _ => 0,
    };

    private static long HostBytes(PositionEncoding encoding) => encoding switch
    {
        Rotation rotation => 2L * sizeof(float) * rotation.Cos.Length,
        Reordering reordering => ((long)sizeof(int) * reordering.Index.Length) + (sizeof(float) * (reordering.Scale?.LongLength ?? 0)),
        _ => 0,
    };
}
