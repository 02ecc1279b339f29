using CutoffLen.Positions;
using CutoffLen.Positions.Theory;
using Spectre.Console;

namespace CutoffLen.Cli;

/// <summary>
/// The wavelengths of a method's pairs on a logarithmic axis of tokens: <c>●</c> the method's, <c>·</c> vanilla RoPE's where it
/// is elsewhere, <c>│</c> the native length. Pairs to the right of the line never turn once in it.
/// </summary>
internal static class WavelengthPlot
{
    private const int Columns = 64;
    private const int MostRows = 32;

    /// <summary>Prints it.</summary>
    public static void Print(RopeReport report, PositionModel model)
    {
        var vanilla = RopeTheory.Wavelengths(new Frequencies(model.InverseFrequencies()));
        var least = report.Wavelengths.Concat(vanilla).Min();
        var most = report.Wavelengths.Concat(vanilla).Append(model.NativeLength * 2.0).Where(double.IsFinite).Max();
        var every = (report.Wavelengths.Count + MostRows - 1) / MostRows;
        Terminal.Out.WriteLine($"{"pair",5} {"wavelength",12}  tokens from {least:0} to {most:0}, │ at {model.NativeLength}");
        for (var pair = 0; pair < report.Wavelengths.Count; pair += every)
        {
            var line = new string(' ', Columns).ToCharArray();
            line[ColumnOf(model.NativeLength, least, most)] = '│';
            line[ColumnOf(vanilla[pair], least, most)] = '·';
            line[ColumnOf(report.Wavelengths[pair], least, most)] = '●';
            var wavelength = double.IsFinite(report.Wavelengths[pair]) ? $"{report.Wavelengths[pair]:0.0}" : "never";
            Terminal.Out.WriteLine($"{pair,5} {wavelength,12}  {new string(line).TrimEnd()}");
        }
    }

    private static int ColumnOf(double wavelength, double least, double most) =>
        (int)Math.Clamp(Math.Round((Columns - 1) * Math.Log(wavelength / least) / Math.Log(most / least)), 0, Columns - 1);
}
