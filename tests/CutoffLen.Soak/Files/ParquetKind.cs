using CutoffLen.Data;
using ParquetSharp;

namespace CutoffLen.Soak.Files;

/// <summary>
/// A Parquet file whose pages have checksums, so every text that is read is one that was written. The footer has none: damage
/// there can hide rows.
/// </summary>
internal sealed class ParquetKind() : DamagedKind("parquet", "data.parquet")
{
    private const char Separator = '\0';

    public override void Prepare(TemporaryFolder folder)
    {
        using var builder = new WriterPropertiesBuilder();
        using var properties = builder.Compression(Compression.Snappy).EnablePageChecksum().DataPageVersion(ParquetDataPageVersion.V2).Build();
        using var writer = new ParquetFileWriter(folder[FileName], [new Column<int>("id"), new Column<string>("text")], properties);
        for (var first = 0; first < 60; first += 20)
        {
            using var group = writer.AppendRowGroup();
            using (var ids = group.NextColumn().LogicalWriter<int>())
            {
                ids.WriteBatch([.. Enumerable.Range(first, 20)]);
            }

            using var texts = group.NextColumn().LogicalWriter<string>();
            texts.WriteBatch([.. Enumerable.Range(first, 20).Select(n => $"row {n}: caf\u00E9 \U0001F600 {new string('x', n)}")]);
        }

        writer.Close();
    }

    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Binary(original);

    public override Meaning Read(TemporaryFolder folder) =>
        Meaning.Of(string.Join(Separator, Documents.Read(DataFiles.Find([folder[FileName]])).Select(piece => piece.Text)));

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original) =>
        found.Text.Split(Separator).Except(original.Text.Split(Separator)).FirstOrDefault(text => text.Length > 0);
}
